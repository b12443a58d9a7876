package signals

import "time"

// podLedger remembers what one pod said last, and so what of it was already counted.
type podLedger struct {
	// asked is when it was first asked, and read when it last answered; zero: never.
	asked, read time.Time
	page        *workloadPage
}

// grow is what the page adds to the last one, never more than was really added:
//   - a counter or histogram that grew adds the difference. Had it started again in between, it would be more;
//   - one that fell has started again, so it adds what it is. All have when the process says that it started later, or does not say
//     when it started and one fell;
//   - one that is new adds what it is, because it started after the last look;
//   - one that has vanished adds nothing, and if it comes back it counts as new: no client library takes a series away and
//     brings it back while a process runs.
func (l *podLedger) grow(page *workloadPage) podGrowth {
	before := l.page
	if page.isAfter(before) {
		before = &workloadPage{}
	}
	var out podGrowth
	for key, now := range page.calls {
		increase := grown(before.calls[key].value, now.value)
		switch {
		case now.cancelled:
			out.cancelled += increase
			continue
		case now.failed:
			out.errors += increase
		}
		out.calls += increase
	}
	for key, now := range page.begun {
		out.begun += grown(before.begun[key], now)
	}
	for key, now := range page.latencies {
		grown, fell := now.minus(before.latencies[key])
		if fell {
			grown = now
		}
		out.latencies = out.latencies.Plus(grown)
	}
	return out
}

// grown is by how much a counter grew.
func grown(was, now float64) float64 {
	if was > now {
		return now
	}
	return now - was
}

// startSlack is by how much the start of one and the same process may seem to move, in seconds. It is told as that of the machine and the
// time since then, and that of the machine moves by a second where its clock is slewed.
const startSlack = 2

// isAfter: the page is of a process that started after that of the other one. Where one of them does not say when that was, a counter
// that fell shows it.
func (p *workloadPage) isAfter(before *workloadPage) bool {
	if before.started > 0 && p.started > 0 {
		return p.started > before.started+startSlack
	}
	for key, now := range p.calls {
		if now.value < before.calls[key].value {
			return true
		}
	}
	for key, now := range p.begun {
		if now < before.begun[key] {
			return true
		}
	}
	return false
}

// podGrowth are the calls of a pod, or of all pods of a side, since they were last counted.
type podGrowth struct {
	tally

	latencies Histogram
	// pods are those of each pod of a side.
	pods map[string]tally
}

// add adds those of a pod.
func (g *podGrowth) add(pod string, other podGrowth) {
	if g.pods == nil {
		g.pods = map[string]tally{}
	}
	of := g.pods[pod]
	of.add(other.tally)
	g.pods[pod] = of
	g.tally.add(other.tally)
	g.latencies = g.latencies.Plus(other.latencies)
}
