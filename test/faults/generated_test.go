package faults

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// lanes is how many sequences go on side by side, and fewLanes with -short, where each has one sequence.
	lanes    = 16
	fewLanes = 2
	// operationsInAll are those of all lanes.
	operationsInAll = 10_500
	// mostRuns bounds the runs of an ExposedService from the last operation until it is quiet.
	mostRuns = 50
)

// TestGeneratedSequences: what there is in the end depends on the last spec and the facts alone, nothing of ours is left behind, and
// nothing of others is touched.
func TestGeneratedSequences(t *testing.T) {
	seed, one := baseSeed()
	clock := newHastyClock()
	o := newSilentWorld(t, clock).startOperator(everywhere)
	if one {
		playAndCompare(t, o, seed)
		return
	}
	many, perLane := uint64(lanes), operationsInAll/lanes
	if testing.Short() {
		many, perLane = fewLanes, 1
	}
	t.Run("lanes", func(t *testing.T) {
		for lane := range many {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for n, i := 0, uint64(0); n < perLane && !t.Failed(); i++ {
					next := (seed + lane + i*many) & (1<<32 - 1)
					t.Run(fmt.Sprint("seed ", next), func(t *testing.T) { n += playAndCompare(t, o, next) })
				}
			})
		}
	})
}

// playAndCompare plays the plan of a seed, compares what it comes to with a fresh expose, and returns how many operations it took.
func playAndCompare(t *testing.T, o *operator, seed uint64) int {
	plan := plans().Example(int(seed))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat it: %s=%d go test%s ./test/faults -run TestGeneratedSequences", seedVariable, seed, short())
			if _, one := baseSeed(); one {
				t.Log(plan)
			}
		}
	})
	clock := o.w.clock
	s := newScene(newWorldAt(t, clock), o, startFacts())
	before := map[types.NamespacedName]int{}
	for _, operation := range plan.operations {
		before = o.runs.In(s.namespace)
		s.do(operation)
	}
	s.boundedRuns(before)
	s.nothingForeignIsTouched()
	s.finale(plan)
	fresh := newScene(newWorldAt(t, clock), o, s.services)
	for name, spec := range plan.last {
		fresh.put(name, spec)
	}
	fresh.settle()
	fresh.eventuallyAt(compareEvery, "a fresh expose comes to the same", func() error {
		have, err := s.state()
		if err != nil {
			return err
		}
		if err := fresh.stateIs(have); err != nil {
			return fmt.Errorf("%w\nin the world of the sequence:\n%s", err, s.messages())
		}
		return nil
	})
	s.nothingForeignIsTouched()
	s.nothingIsLeft()
	fresh.nothingIsLeft()
	n := len(plan.operations) + 2*len(plan.last)
	done.add("generated: operations", n)
	done.add("generated: sequences", 1)
	return n
}

// boundedRuns waits until the operator is at rest, and counts its runs since the last operation.
func (s *scene) boundedRuns(before map[types.NamespacedName]int) {
	s.Helper()
	s.untilQuiet(s.operator)
	for name, n := range s.operator.runs.In(s.namespace) {
		runs := n - before[name]
		done.largest("runs from the last operation to quiet", runs)
		if runs > mostRuns {
			s.Errorf("%s: %d runs from the last operation to quiet", name.Name, runs)
		}
	}
}

// finale brings about what the end may depend on alone. What a spec names and was there once is there again, because what is missing
// takes nothing away: what was made before stays. For the same reason the last spec has no flaw: what cannot be applied stays as it
// was. One backend of each is up, because where none is, the calls stay where they were. No backend is pinned, and all holds are over.
func (s *scene) finale(p plan) {
	s.Helper()
	s.bringClassBack()
	for _, name := range services {
		s.bringBack(name)
	}
	for _, name := range exposedNames {
		spec := p.last[name]
		if service := backendServices[spec.Backends[p.up[name]]]; service != "" {
			s.services[service].ready = []bool{true, true}
			s.writeSlice(service)
		}
		s.put(name, spec)
	}
	for s.collectGarbage() > 0 {
		s.untilQuiet(s.operator)
	}
	s.settle()
}

// nothingIsLeft deletes the ExposedServices, and finds nothing of them that the cluster's garbage collector does not remove, and
// nothing that is made again after it was removed.
func (s *scene) nothingIsLeft() {
	s.Helper()
	for _, name := range exposedNames {
		s.delete(s.exposed(name))
	}
	s.eventually("nothing is left", func() error {
		s.untilQuietFor(quietTime/2, s.operator)
		if n := s.collectGarbage(); n > 0 {
			return fmt.Errorf("%d objects had lost their owner", n)
		}
		left, err := s.state()
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("there is still %v", left)
		}
		return err
	})
}
