package faults

import (
	"fmt"
	"testing"
)

// death is a row: what happens to which write of a workload.
type death struct {
	*workload
	write int
	what  outcome
}

// writesOfRollouts: a rollout takes seconds, and has many writes. Of them every sixth is disturbed, beginning where the seed says.
const writesOfRollouts = 6

// TestAnOperatorDiesAtEachWrite compares what there is in the end with what there is without a death.
func TestAnOperatorDiesAtEachWrite(t *testing.T) {
	var rows []death
	random := choices(t)
	for _, wl := range played(t) {
		first, step := 1, 1
		if wl.ships {
			first, step = 1+random.IntN(writesOfRollouts), writesOfRollouts
		}
		for n := first; n <= referenceOf(t, wl).writes; n += step {
			for _, what := range []outcome{cutBefore, cutAfter, answerLost} {
				rows = append(rows, death{wl, n, what})
			}
		}
	}
	t.Run("rows", func(t *testing.T) {
		for _, row := range sample(t, rows, 5) {
			t.Run(fmt.Sprintf("%s, write %d, %s", row.name, row.write, row.what), func(t *testing.T) {
				t.Parallel()
				row.run(t, referenceOf(t, row.workload))
			})
		}
	})
}

func (row death) run(t *testing.T, without *reference) {
	s := newStage(t, row.workload)
	first := s.operator
	first.transport.disturb(nthWrite(row.write, row.what))
	row.begin(s)
	if row.what != answerLost {
		s.until("the death, or the end without one", func() error {
			if first.transport.isCut() {
				return nil
			}
			return row.over(s)
		})
		s.restart()
	}
	s.finish(without.want)
	if first.transport.hitsSoFar() == 0 {
		done.add("deaths: rows with fewer writes than without", 1)
	}
	done.add("deaths: rows", 1)
	done.add("deaths: "+string(row.what), 1)
}
