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
//   - one that fell has started again, so it adds what it is. All do when the process says that it started another time;
//   - one that is new adds what it is, because it started after the last look;
//   - one that has vanished adds nothing, and if it comes back it counts as new: no client library takes a series away and
//     brings it back while a process runs.
func (l *podLedger) grow(page *workloadPage) podGrowth {
	before := l.page
	if before.started != page.started {
		before = &workloadPage{}
	}
	var out podGrowth
	for key, now := range page.calls {
		increase := now.value
		if was := before.calls[key].value; was <= now.value {
			increase -= was
		}
		out.calls += increase
		if now.failed {
			out.errors += increase
		}
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

// podGrowth are the calls of a pod, or of all pods of a side, since they were last counted.
type podGrowth struct {
	tally
	latencies Histogram
}

func (g *podGrowth) add(other podGrowth) {
	g.tally.add(other.tally)
	g.latencies = g.latencies.Plus(other.latencies)
}
