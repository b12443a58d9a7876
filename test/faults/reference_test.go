package faults

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// reference is what a workload comes to without a disturbance.
type reference struct {
	want   state
	writes int
	// kinds are the requests of an operator that starts before the workload begins.
	kinds map[kindOfRequest]int
}

// references are those of workloads that were played.
var references sync.Map

// referenceOf plays a workload without a disturbance, the first time that it is asked for.
func referenceOf(t *testing.T, wl *workload) *reference {
	t.Helper()
	out, _ := references.LoadOrStore(wl, &onceReference{})
	return out.(*onceReference).of(t, wl)
}

type onceReference struct {
	sync.Mutex
	known *reference
}

func (o *onceReference) of(t *testing.T, wl *workload) *reference {
	t.Helper()
	o.Lock()
	defer o.Unlock()
	if o.known == nil {
		o.known = wl.undisturbed(t)
	}
	return o.known
}

// playUndisturbed plays workloads side by side, so that nobody waits for them one after the other.
func playUndisturbed(t *testing.T, wls ...*workload) {
	t.Helper()
	t.Run("undisturbed", func(t *testing.T) {
		for _, wl := range wls {
			t.Run(wl.name, func(t *testing.T) {
				t.Parallel()
				referenceOf(t, wl)
			})
		}
	})
}

func (wl *workload) undisturbed(t *testing.T) *reference {
	s := newStage(t, wl)
	s.restart()
	s.rest(s.operator)
	before := s.operator.transport.writesSoFar()
	if len(before) > 0 && !wl.restless {
		t.Errorf("an operator that takes over writes %v", before)
	}
	wl.begin(s)
	s.until(wl.name, func() error { return wl.over(s) })
	s.untilQuiet(s.operator)
	if err := wl.over(s); err != nil {
		t.Fatalf("it does not stay: %v", err)
	}
	for wl.deletes && s.collectGarbage() > 0 {
		s.untilQuiet(s.operator)
	}
	want, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	out := &reference{want: want, writes: len(s.operator.transport.writesSoFar()), kinds: s.operator.transport.kindsSoFar()}
	t.Logf("%d writes; in the end there are %v", out.writes, slices.Sorted(maps.Keys(want)))
	return out
}

// played are the workloads that are disturbed: all, or with -short a failover and one that the seed chooses. They were played undisturbed.
func played(t *testing.T) []*workload {
	t.Helper()
	out := workloads
	if testing.Short() {
		seed, _ := baseSeed()
		out = []*workload{failOver, workloads[seed%uint64(len(workloads))]}
	}
	playUndisturbed(t, out...)
	return out
}
