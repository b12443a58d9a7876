package faults

import (
	"testing"
)

// writesOfTwo bounds the writes of two leaders, as a multiple of those of one: each may do everything once, and try again what the
// other was faster with.
const writesOfTwo = 4

// TestTwoLeaders: the end is as with one, and they come to rest.
func TestTwoLeaders(t *testing.T) {
	wls := played(t)
	t.Run("rows", func(t *testing.T) {
		for _, wl := range wls {
			without := referenceOf(t, wl)
			t.Run(wl.name, func(t *testing.T) {
				t.Parallel()
				twoLeaders(t, wl, without)
			})
		}
	})
}

func twoLeaders(t *testing.T, wl *workload, without *reference) {
	s := newStage(t, wl)
	second := s.startOperator()
	s.rest(s.operator, second)
	writes := func() int { return len(s.operator.transport.writesSoFar()) + len(second.transport.writesSoFar()) }
	before := writes()
	wl.begin(s)
	s.untilAt(compareEvery, "the end of "+wl.name, func() error { return s.stateIs(without.want) })
	s.untilQuiet(s.operator, second)
	if err := s.stateIs(without.want); err != nil {
		t.Errorf("it does not stay: %v", err)
	}
	if n, most := writes()-before, writesOfTwo*(without.writes+2); n > most {
		t.Errorf("%d writes of two, where one needs %d", n, without.writes)
	} else {
		done.largest("percent of one leader's writes that two made", 100*n/max(without.writes, 1))
	}
	// One of them ends; the other has nothing to do.
	s.operator.stop()
	calm := writes()
	s.untilQuiet(second)
	if err := s.stateIs(without.want); err != nil || writes() != calm {
		t.Errorf("the end of one leader leads to %d writes (%v)", writes()-calm, err)
	}
	done.add("leaders: rows", 1)
	done.add("faults injected", 1)
}
