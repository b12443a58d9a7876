package signals

// addCallsOf adds the calls of a target.
func (t *tracker) addCallsOf(target string, more float64) {
	if t.pods == nil {
		t.pods = map[string]tally{}
	}
	pod := t.pods[target]
	pod.calls += more
	t.pods[target] = pod
}

// addErrorsOf adds the errors of a target whose calls are known. It belongs after those.
func (t *tracker) addErrorsOf(target string, more float64) {
	if pod, known := t.pods[target]; known {
		pod.errors += more
		t.pods[target] = pod
	}
}

// deliverPods hands out the calls of each target. One may seem to have more errors than calls, where the two queries were answered by
// servers of which one is a little behind; the calls are what is believed.
func (t *tracker) deliverPods() []PodCalls {
	if t.pods == nil {
		return nil
	}
	for id, of := range t.pods {
		of.errors = min(of.errors, of.calls)
		t.pods[id] = of
	}
	out := podsOf(t.pods)
	t.pods = nil
	return out
}
