package signals

import "time"

// lastOf is when a run was last counted; zero: it is new.
func (l *LoadReports) lastOf(id string) time.Time {
	if known := l.runs[id]; known != nil {
		return known.seen
	}
	return time.Time{}
}

// reportedWork adds up the work that replicas were told of.
type reportedWork struct {
	started, inFlight uint64
	// from is when the one of them that was counted longest ago was last counted; zero: there is none.
	from time.Time
}

// add adds that of a replica which was last counted at a time. One without a client that is heard has nothing to say of now.
func (w *reportedWork) add(query Query, replica ReplicaLoads, grown map[string]Load, last time.Time) {
	if !replica.Heard {
		return
	}
	for _, backend := range query.Backends {
		w.started += grown[backend.locality()].Issued
		w.inFlight += grown[backend.locality()].InFlight
	}
	if w.from.IsZero() || last.Before(w.from) {
		w.from = last
	}
}

// at is the sum as of a time. With a replica whose clients' calls under way are not known, nothing is: they could be most of them.
func (w *reportedWork) at(replicas []ReplicaLoads, now time.Time) Work {
	if !tells(replicas, ReplicaLoads.tellsBegun) || w.from.IsZero() || !w.from.Before(now) {
		return Work{}
	}
	return Work{Started: w.started, InFlight: w.inFlight, Start: w.from, End: now, Known: true}
}
