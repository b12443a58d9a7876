// Package control has the rules that others judge canaries by, as they are written in their sources, to hold the judge against.
package control

import "github.com/headgate/headgate/rollout/judge"

// Watcher looks at a rollout tick by tick and says when to roll back.
type Watcher interface {
	RollBack(t judge.Tick) bool
}

// Judge is Headgate's own.
type Judge struct {
	Judge judge.Judge
	State judge.State
	// Until is the decision that is waited for in place of judge.RollBack.
	Until judge.Decision
}

// RollBack says whether the judge decides what is waited for.
func (w *Judge) RollBack(t judge.Tick) bool {
	w.State = w.Judge.Update(w.State, t)
	return w.Judge.Decide(w.State).Decision == w.Until
}

// add adds t's counts to sum, bucket by bucket.
func add(sum, t judge.Counts) judge.Counts {
	sum.Calls += t.Calls
	sum.Errors += t.Errors
	if sum.Latencies == nil {
		sum.Latencies = append(sum.Latencies, t.Latencies...)
		return sum
	}
	for i, b := range t.Latencies {
		sum.Latencies[i].Count += b.Count
	}
	return sum
}
