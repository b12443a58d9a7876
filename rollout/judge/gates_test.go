package judge

import (
	"math"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// gate is the first one that is asked for.
func gate(t *testing.T, j Judge, s State) Gate {
	t.Helper()
	v := j.Decide(s)
	if len(v.Gates) == 0 {
		t.Fatalf("nothing is to be proved: %+v", v)
	}
	return v.Gates[0]
}

func TestProofsAreKeptFromStepToStepButEachAsksForSomethingFresh(t *testing.T) {
	j := onlyErrors()
	j.Shares = []int32{allParts / 10, allParts}
	s := j.after(State{}, 60, tick(100, 0, 900, 0))
	if v := j.Decide(s); v.Decision != Advance {
		t.Fatalf("after 6000 calls without an error: %+v", v)
	}
	before := s.proofOf(kindErrors, allParts).lnE()
	s = j.NextStep(s)
	j.Shares = j.Shares[1:]
	now := gate(t, j, s)
	if now.Evidence != before || now.Evidence < now.Threshold || now.Fresh != 0 || now.Passed() {
		t.Errorf("at the start of the next step: %+v, there were %.1f nats", now, before)
	}
	s, at := j.untilDecided(s, 60, Advance, func(int) Tick { return tick(100, 0, 900, 0) })
	if at != 10 {
		t.Errorf("something fresh takes %d s, expected one block: %+v", at, gate(t, j, s))
	}
}

func TestTheLargerTheShareTheMoreIsAsked(t *testing.T) {
	last := math.Inf(1)
	for _, share := range []int32{allParts / 100, allParts / 20, allParts / 4, allParts} {
		j := onlyErrors()
		j.Shares = []int32{share, allParts}
		s := j.after(State{}, 10, tick(5, 0, 95, 0))
		g := gate(t, j, s)
		if g.Evidence >= last || g.Evidence <= 0 {
			t.Errorf("share %d: %.2f nats for it, %.2f for a smaller one", share, g.Evidence, last)
		}
		last = g.Evidence
		if want := s.proofOf(kindErrors, share).lnE(); g.Evidence != want {
			t.Errorf("the gate is not the one of the next share: %.2f nats, want %.2f", g.Evidence, want)
		}
	}
}

func TestErrorsAtTheBeginningDoNotCloseTheGateForEver(t *testing.T) {
	j := onlyErrors()
	s := j.after(State{}, 10, tick(100, 30, 900, 0))
	if g := gate(t, j, s); g.Evidence > -2 {
		t.Fatalf("the scene is not one of errors at the beginning: %+v", g)
	}
	for calls := 0; !gate(t, j, s).Passed(); calls += 100 {
		if calls > 5000 {
			t.Fatalf("after %d healthy calls: %+v", calls, gate(t, j, s))
		}
		s = j.Update(s, tick(100, 0, 900, 0))
	}
}

func TestColdBlocksProveNothing(t *testing.T) {
	j := onlyErrors()
	cold := tick(100, 0, 900, 1)
	cold.Cold = true
	s := j.after(State{}, 120, cold)
	if g := gate(t, j, s); g.Evidence != 0 || g.Fresh != 0 {
		t.Errorf("cold pods prove %+v", g)
	}
	if g := gate(t, j, j.after(s, 10, tick(100, 0, 900, 1))); g.Evidence <= 0 || g.Fresh <= 0 {
		t.Errorf("warm ones: %+v", g)
	}
}

// In a block that began before the step, the canary had another share of the calls for a while.
func TestBlocksThatOnlyPartlyLieInTheStepAreNotFresh(t *testing.T) {
	j := onlyErrors()
	stale := tick(100, 0, 900, 0)
	stale.Fresh = false
	fresh := tick(100, 0, 900, 0)
	for name, s := range map[string]State{
		"the share changed within the block": j.after(j.after(State{}, 5, stale), 5, fresh),
		"the step began within the block":    j.after(j.NextStep(j.after(State{}, 5, fresh)), 5, fresh),
		"it goes on with another share":      j.NextStep(j.after(j.after(State{}, 5, fresh), 5, stale)),
	} {
		if g := gate(t, j, s); g.Evidence <= 0 || g.Fresh != 0 {
			t.Errorf("%s: %+v", name, g)
		}
		if g := gate(t, j, j.after(s, 10, fresh)); g.Fresh <= 0 || g.Fresh >= g.Evidence {
			t.Errorf("%s, and at the end of the next: %+v", name, g)
		}
	}
	if g := gate(t, j, j.after(State{}, 60, stale)); g.Evidence <= g.Threshold || g.Fresh != 0 || g.Passed() {
		t.Errorf("calls of another share: %+v", g)
	}
}

func TestAProofOfCancelledCallsIsOnlyAskedWhereTheSourceTellsOfThem(t *testing.T) {
	j := withoutLatency()
	for _, tells := range []struct{ canary, stable bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		next := tick(100, 0, 900, 0)
		next.Canary.TellsCancelled, next.Stable.TellsCancelled = tells.canary, tells.stable
		v := j.Decide(j.after(State{}, 60, next))
		want := []string{"errors"}
		if tells.canary && tells.stable {
			want = append(want, "cancelled calls")
		}
		if len(v.Gates) != len(want) || v.Gates[len(want)-1].Name != want[len(want)-1] || v.Decision != Advance {
			t.Errorf("%+v: %+v", tells, v)
		}
	}
	hung := tick(80, 0, 900, 0)
	hung.Canary.TellsCancelled, hung.Stable.TellsCancelled, hung.Canary.Cancelled = true, true, 20
	if v := j.Decide(j.after(State{}, 60, hung)); v.Gates[1].Passed() || v.Decision == Advance {
		t.Errorf("a fifth is cancelled: %+v", v)
	}
}

// Whoever fails as often as the margin allows is ever proved to be within it, and passes what a step asks for, as rarely as promised.
func TestFalseProofsAreAsRareAsPromised(t *testing.T) {
	for _, rate := range []float64{0, 0.01, 0.05} {
		runs := shrink(2000)
		proved, fresh := 0, 0
		for run := range uint64(runs) {
			long, short := atTheMargin(onlyErrors().withDefaults(), run, rate)
			proved, fresh = proved+long, fresh+short
		}
		if most := atMost(runs, 0.05); proved > most {
			t.Errorf("rate %v: %d of %d are proved, more than %d", rate, proved, runs, most)
		}
		if most := atMost(runs, 1.0/3); fresh > most {
			t.Errorf("rate %v: %d of %d bring what a step asks for, more than %d", rate, fresh, runs, most)
		}
	}
}

// atTheMargin says whether the proof, and its fresh part, ever reach their thresholds in a quarter of an hour at 10/10 calls a second. The
// blocks go to the proofs directly, because nothing else matters to them.
func atTheMargin(j Judge, run uint64, rate float64) (proved, fresh int) {
	allowed := j.Errors.Prove.Ratio*rate + j.Errors.Prove.Difference
	r := traffic.Rand(33, run)
	s := State{}
	for range 90 {
		s.open = block{fresh: true, sums: sums{
			elapsed: blockLength, canaryCalls: 100, stableCalls: 100,
			canaryErrors: traffic.Poisson(r, 100*allowed), stableErrors: traffic.Poisson(r, 100*rate),
		}}
		s = j.proveErrors(s)
		if s.proofOf(kindErrors, allParts).lnE() >= -math.Log(j.Beta) {
			proved = 1
		}
		if s.fresh[kindErrors].lnE() >= freshThreshold {
			fresh = 1
		}
		if proved+fresh == 2 {
			break
		}
	}
	return proved, fresh
}

// Without it, proving nothing at all would be as good.
func TestAHealthyCanaryIsProved(t *testing.T) {
	for _, rate := range []float64{0, 0.001, 0.01} {
		for run := range uint64(10) {
			if _, at := withoutLatency().untilDecided(State{}, 900, Advance, random(34, run, 20, 180, rate, rate)); at == 0 {
				t.Errorf("rate %v, run %d: not proved within %s", rate, run, 900*time.Second)
			}
		}
	}
}
