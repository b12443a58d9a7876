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
	// use counts need.
	use *use
}

// unwanted says that the client no longer follows the name. The watch stays until the removal is said.
func (w *watch) unwanted() bool { return !w.named && !w.wild }

// visible says whether the client may have e under this name. One that asks for everything of an owner means that
// owner's with its names too, and never gets those of another instead.
func (w *watch) visible(e *Entry) bool {
	cl := w.sub.client
	if cl.wildcards > 0 {
		return cl.scope.selects(e.owner.name) && (w.named || w.wild && e.audience == Envoy)
	}
	return w.named && cl.scope.Reads(e.owner.name.Namespace)
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
	old, behind, wrong := w.use, w.behind(), w.wrong
	if need != nil && w.sent != nil && need.version == w.sent.version {
		w.sent = need // removed and made again, and the client has it
	}
	w.use = nil
	if need != nil {
		w.use = w.sub.client.use(need.owner)
	}
	// The new one is counted before the old one is not, so that a change within one owner never looks like the end of its use.
	w.need, w.wrong = need, false
	if w.use != nil {
		w.use.change(func() {
			w.use.resources++
			w.use.behind += count(w.behind())
		})
	}
	if old != nil {
		old.change(func() {
			old.resources--
			old.behind -= count(behind)
			old.wrong -= count(wrong)
		})
		w.sub.client.release(old)
	}
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
	if w.use == nil || behind == w.behind() && wrong == w.wrong {
		return
	}
	w.use.change(func() {
		w.use.behind += count(w.behind()) - count(behind)
		w.use.wrong += count(w.wrong) - count(wrong)
	})
	w.sub.client.cache.changed(w.use.owner)
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
