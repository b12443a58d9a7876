package judge

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// The whole of a process: whatever it spends, favours and caps, E gains nothing if the gains do not.
func TestProcessKeepsItsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		speed := pace{
			planned: time.Hour, first: rapid.SampledFrom([]float64{0, 0.5, 0.9, 1}).Draw(t, "first"),
			perTick: rapid.Float64Range(0, 5).Draw(t, "cap"), favoured: rapid.SampledFrom([]float64{0, 0.3, 0.6}).Draw(t, "favoured"),
		}
		p := process{}
		for range rapid.IntRange(1, 30).Draw(t, "ticks") {
			elapsed := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "elapsed"))
			gain := rapid.Float64Range(-5, 5).Draw(t, "gain")
			before := math.Exp(p.lnE())
			same := p.advance(speed, []float64{0, 0, 0}, elapsed)
			if after := math.Exp(same.lnE()); after > before*(1+1e-12) || after < before*(1-1e-4) {
				t.Fatalf("a tick that says nothing takes the evidence from %v to %v", before, after)
			}
			p = p.advance(speed, []float64{gain, -gain, 0}, elapsed)
			if p.spent < 0 || p.spent > budget {
				t.Fatalf("spent %d of %d", p.spent, budget)
			}
			if speed.perTick > 0 && p.lnE() > max(0, math.Log(before))+speed.perTick+2e-3 {
				t.Fatalf("one tick took the evidence from %v to %v", before, math.Exp(p.lnE()))
			}
		}
	})
}

func TestStartsAreSharesOfOne(t *testing.T) {
	for _, favoured := range []float64{0, 0.6, 1} {
		for n := 1; n < 20; n++ {
			total := 0.0
			for i := range n {
				total += pace{favoured: favoured}.start(i, n)
			}
			if math.Abs(total-1) > 1e-12 {
				t.Errorf("favoured %v: the starts of %d alternatives add up to %v", favoured, n, total)
			}
		}
	}
	if got := (pace{favoured: 0.6}).start(0, 5); got != 0.6 {
		t.Errorf("the favoured alternative starts with %v", got)
	}
}

// By the tree of all outcomes of some ticks: a bet that gains nothing in the mean makes a process that gains nothing.
func TestProcessGainsNothingInTheMean(t *testing.T) {
	for name, speed := range map[string]pace{
		"proof":   {planned: time.Minute, first: 0.9, favoured: 0.6},
		"capped":  {planned: time.Minute, first: 0.5, perTick: 0.5},
		"at once": {first: 1, perTick: 1.5},
	} {
		mean := 0.0
		var walk func(p process, depth int, weight float64)
		walk = func(p process, depth int, weight float64) {
			if depth == 0 {
				mean += weight * math.Exp(p.lnE())
				return
			}
			// With probability a third all is tripled, or nearly so, else it is lost.
			walk(p.advance(speed, []float64{math.Log(3), math.Log(1.5), 0}, 10*time.Second), depth-1, weight/3)
			walk(p.advance(speed, []float64{math.Inf(-1), math.Log(0.75), 0}, 10*time.Second), depth-1, 2*weight/3)
		}
		walk(process{}, 8, 1)
		if mean > 1+1e-9 || mean < 0.5 {
			t.Errorf("%s: a mean of %v", name, mean)
		}
	}
}

// The cap is what keeps bursts of errors from rolling back.
func TestWithoutTheCapBurstsOfErrorsRollBack(t *testing.T) {
	j := Default().withDefaults()
	j.Latency = nil
	for capped, want := range map[bool]func(wrong int) bool{
		true:  func(wrong int) bool { return wrong <= atMost(100, 0.01) },
		false: func(wrong int) bool { return wrong > 5 },
	} {
		speed := j.byBlock(kindErrors, partsOfAVerdict)
		if !capped {
			speed.perTick = 0
		}
		wrong := 0
		for run := range uint64(100) {
			if bursts(speed, run) >= -math.Log(j.Alpha) {
				wrong++
			}
		}
		if !want(wrong) {
			t.Errorf("capped %v: %d of 100 healthy rollouts reach the threshold", capped, wrong)
		}
	}
}

// bursts gives the most evidence that an hour at 10/90 calls a second brings if 0.1 % of both fail, five on average at a time.
func bursts(speed pace, run uint64) float64 {
	r := traffic.Rand(4, run)
	burst := func(calls float64) (errors uint64) {
		for range traffic.Poisson(r, calls*0.001/5) {
			errors++
			for r.Float64() > 0.2 {
				errors++
			}
		}
		return errors
	}
	p, most := process{}, 0.0
	for range 360 {
		n := counts{canary: []uint64{burst(100)}, stable: []uint64{burst(900)}}
		n.canaryCalls, n.stableCalls = n.canary[0]+traffic.Poisson(r, 100), n.stable[0]+traffic.Poisson(r, 900)
		p = p.advance(speed, moreThan(Margin{1.5, 0.0005}).gains(n), 10*time.Second)
		most = max(most, p.lnE())
	}
	return most
}
