package cache

// watch is one name that a client follows.
type watch struct {
	sub   *subscription
	topic *topic
	at    int // in the topic

	named bool // subscribed to by name
	wild  bool // selected by the wildcard
	asked bool // to be answered, even if nothing changed or there is nothing
	due   bool // in the subscription's queue
	wrong bool // what was sent was refused

	acked bool // what was sent was acknowledged

	// need is what the client should have, sent what it was sent last.
	need, sent *Entry
	// number is that of the response in which it was sent last.
	number uint64
}

// unwanted says that the client no longer follows the name. The watch stays until the removal is said.
func (w *watch) unwanted() bool { return !w.named && !w.wild }

// visible says whether the client may have e under this name. One that asks for everything of an owner means that
// owner's with its names too, and never gets those of another instead.
func (w *watch) visible(e *Entry) bool {
	cl := w.sub.client
	if cl.wildcards > 0 {
		return cl.scope.selects(e) && (w.named || w.wild && e.audience == Envoy)
	}
	return w.named && cl.scope.Reads(e.namespace())
}

// refresh finds out what the client should have now.
func (w *watch) refresh() {
	var need *Entry
	for _, e := range w.topic.entries {
		if w.visible(e) {
			need = e
			break
		}
	}
	if need == w.need {
		return
	}
	cl, old, behind, wrong := w.sub.client, w.need, w.behind(), w.wrong
	if need != nil && w.sent != nil && need.version == w.sent.version {
		w.sent = need // removed and made again, and the client has it
	}
	// The new one is counted before the old one is not, so that a change within one owner never looks like the end of its use.
	w.need, w.wrong = need, false
	cl.account(need, 1, count(w.behind()), 0)
	cl.account(old, -1, -count(behind), -count(wrong))
	w.enqueue()
}

func (w *watch) behind() bool { return w.need != nil && (w.sent != w.need || !w.acked) }

// answered notes the client's answer to what it was sent in the response of that number.
func (w *watch) answered(number uint64, ok bool) {
	if number < w.number || w.sent == nil {
		return // it has been sent something else since
	}
	behind, wrong := w.behind(), w.wrong
	w.acked = w.acked || ok
	w.wrong = !ok && w.need == w.sent
	if behind != w.behind() || wrong != w.wrong {
		w.sub.client.account(w.need, 0, count(w.behind())-count(behind), count(w.wrong)-count(wrong))
	}
}

// enqueue has the watch looked at before the next push.
func (w *watch) enqueue() {
	if !w.due {
		w.due = true
		w.sub.queue = append(w.sub.queue, w)
	}
	w.sub.client.wake()
}

// move notes that the next response brings the client e, or takes away what it has.
func (w *watch) move(e *Entry) {
	w.number = w.sub.client.responses + 1
	if e == w.sent {
		return
	}
	w.sub.digest.subtract(w.sent)
	w.sub.digest.add(e)
	w.sent, w.acked = e, false
}
