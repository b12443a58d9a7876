package signals

import "time"

// podLook is one look at all pods.
type podLook struct {
	query Query
	now   time.Time
	pods  []podOf
	// answered counts the pods whose answer could be used.
	answered int
	// names are those that the pods go by. hasCalls and hasLatencies: one of them has metrics of those names.
	names                  metricNames
	hasCalls, hasLatencies bool
	// hasBegun: a pod shows what has begun; lacksBegun: another has calls and does not.
	hasBegun, lacksBegun bool
	// inFlight is how many calls the pods of each side have under way.
	inFlight map[string]float64
	notes    []string
	// worst is the first trouble that leaves everything unknown.
	worst *trouble
}

// podOf is a pod of a backend.
type podOf struct {
	backend string
	pod     Pod
}

func newPodLook(query Query, now time.Time) *podLook {
	l := &podLook{query: query, now: now, inFlight: map[string]float64{}}
	owner := map[string]string{}
	for _, backend := range query.Backends {
		switch {
		case backend.NoPods != "":
			l.blame(UnknownEmpty, backend.Name+": "+backend.NoPods)
		case len(backend.Pods) == 0:
			l.blame(UnknownEmpty, backend.Name+" has no pods that answer calls")
		}
		for _, pod := range backend.Pods {
			if other, taken := owner[pod.ID]; taken {
				l.blame(UnknownAmbiguous, "pod "+pod.Name+" belongs to "+other+" and to "+backend.Name+": whose its calls are cannot be told")
				continue
			}
			owner[pod.ID] = backend.Name
			l.pods = append(l.pods, podOf{backend.Name, pod})
		}
	}
	return l
}

// mostNotes is how many pods are told of that could not be read.
const mostNotes = 8

func (l *podLook) note(text string) {
	if len(l.notes) < mostNotes {
		l.notes = append(l.notes, text)
	}
}

// blame remembers the first trouble.
func (l *podLook) blame(why Unknown, message string) {
	if l.worst == nil {
		l.worst = &trouble{why, message}
	}
}

// learn notes what a page has.
func (l *podLook) learn(page *workloadPage) {
	if l.names == (metricNames{}) || page.hasCalls && !l.hasCalls {
		l.names = page.names
	}
	l.hasCalls = l.hasCalls || page.hasCalls
	l.hasLatencies = l.hasLatencies || page.hasLatencies
	l.hasBegun = l.hasBegun || page.hasBegun
	l.lacksBegun = l.lacksBegun || page.hasCalls && !page.hasBegun
}

func (l *podLook) tellsBegun() bool { return l.hasBegun && !l.lacksBegun }

// verdict says why nothing is known, or nil. A server that has had no call may not have the metric yet, so that one pod with it will do.
func (l *podLook) verdict() *trouble {
	switch {
	case l.worst != nil:
		return l.worst
	case l.answered == 0:
		message := "no pod has answered yet"
		if len(l.notes) > 0 {
			message = l.notes[0]
		}
		return &trouble{UnknownUnreachable, message}
	case !l.hasCalls:
		return &trouble{UnknownEmpty, "no pod shows a metric " + l.names.calls + ": set workload.calls, or register the server's metrics"}
	}
	return nil
}
