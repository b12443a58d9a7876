package judge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// scene is a rollout: seconds of calls, and what is known of stable before.
type scene struct {
	judge Judge
	start State
	next  func(i int) Tick
}

// scenes are rollouts of all kinds.
func scenes(run uint64) map[string]scene {
	j := Default()
	j.MaxErrorRate, j.Shares = 0.05, []int32{allParts / 10, allParts}
	withPods := func(next func(i int) Tick) func(i int) Tick {
		return func(i int) Tick {
			t := next(i)
			return t.withPods(t.Stable.Errors, 0, 0)
		}
	}
	hung := func(i int) Tick {
		t := tick(8, 0, 90, 0)
		t.Canary.Begun, t.Stable.Begun, t.Canary.TellsBegun, t.Stable.TellsBegun = 10, 90, true, true
		t.Canary.InFlight, t.Stable.InFlight = uint64(2*i), 1
		return t
	}
	return map[string]scene{
		"healthy":         {j, State{}, withPods(random(42, run, 10, 90, 0.01, 0.01))},
		"all errors":      {onlyErrors(), State{}, random(42, run, 10, 90, 1, 0.001)},
		"worse":           {withoutLatency(), State{}, random(42, run, 10, 90, 0.05, 0.005)},
		"slower":          {j, learnt(j, run), timed(run, 10, 90, always(2*usualLatency), always(usualLatency))},
		"as fast":         {j, State{}, timed(run, 10, 90, always(usualLatency), always(usualLatency))},
		"hung":            {j, State{}, hung},
		"a common outage": {withoutLatency(), State{}, common(60, 90, 10)},
		"many, then cold": {j, State{}, func(i int) Tick {
			t := random(42, run+uint64(i), 100, 900, 0.01, 0.01)(i)
			t.Cold = i/30%2 == 1
			return t
		}},
		"hardly any calls": {j, State{}, random(42, run, 0.02, 0.2, 0.1, 0.01)},
	}
}

// A process that ends after each tick knows the text alone.
func TestRestartsChangeNothing(t *testing.T) {
	for name, c := range scenes(7) {
		whole, text := c.start, c.start.String()
		for i := range 240 {
			next := c.next(i)
			again, err := ParseState(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if i%70 == 69 {
				whole, again = c.judge.NextStep(whole), c.judge.NextStep(again)
			}
			whole, again = c.judge.Update(whole, next), c.judge.Update(again, next)
			text = again.String()
			if was, is := c.judge.Decide(whole), c.judge.Decide(again); fmt.Sprint(was) != fmt.Sprint(is) || whole.String() != text {
				t.Fatalf("%s, tick %d: %+v without a restart, %+v with one", name, i, was, is)
			}
			if len(text) > MostText/2 {
				t.Fatalf("%s: the state takes %d bytes", name, len(text))
			}
		}
	}
}

// merged is one tick of two: that of a scrape that was missed.
func merged(a, b Tick) Tick {
	b.Elapsed += a.Elapsed
	b.Canary, b.Stable = added(a.Canary, b.Canary), added(a.Stable, b.Stable)
	return b
}

func added(a, b Counts) Counts {
	b.Calls, b.Errors, b.Cancelled, b.Begun = a.Calls+b.Calls, a.Errors+b.Errors, a.Cancelled+b.Cancelled, a.Begun+b.Begun
	b.Latencies, b.Pods = slices.Concat(a.Latencies, b.Latencies), slices.Concat(a.Pods, b.Pods)
	return b
}

// The decision stays, and what is known against the canary comes at most a tick later.
func TestMissedScrapesChangeNoDecision(t *testing.T) {
	for _, name := range []string{"healthy", "all errors", "worse", "slower", "hung", "a common outage"} {
		same, runs := 0, shrink(30)
		for run := range uint64(runs) {
			if rolledBack(scenes(run)[name], 0) == rolledBack(scenes(run)[name], 3) {
				same++
			}
		}
		if same < runs-1-runs/20 {
			t.Errorf("%s: the decision is the same in %d of %d runs", name, same, runs)
		}
	}
}

// rolledBack is whether a rollout is rolled back within ten minutes when each nth scrape is missed.
func rolledBack(c scene, nth int) bool {
	s, missed := c.start, Tick{}
	for i := range 600 {
		next := merged(missed, c.next(i))
		if missed = (Tick{}); nth > 0 && i%nth == 0 {
			missed = next
			continue
		}
		if s = c.judge.Update(s, next); s.failed {
			return true
		}
	}
	return false
}

// Two halves of a second that fall into the same block are as good as the second.
func TestTwoTicksOfABlockAreAsGoodAsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := Default()
		run := rapid.Uint64().Draw(t, "run")
		rate := rapid.SampledFrom([]float64{0, 0.01, 0.05}).Draw(t, "rate")
		r := traffic.Rand(43, run)
		half := func() Tick {
			next := timed(r.Uint64(), 5, 45, always(usualLatency), always(usualLatency))(0)
			next.Elapsed = time.Second / 2
			next.Canary.Errors = min(next.Canary.Calls, traffic.Poisson(r, 5*rate))
			next.Stable.Errors = min(next.Stable.Calls/4, traffic.Poisson(r, 45*rate))
			next.Canary.Cancelled = traffic.Poisson(r, 0.05)
			next.Canary.TellsCancelled, next.Stable.TellsCancelled = true, true
			return next.withPods(next.Stable.Errors, 0, 0, 0)
		}
		apart := learnt(j, run)
		atOnce := apart
		for range rapid.IntRange(10, 60).Draw(t, "seconds") {
			a, b := half(), half()
			apart = j.Update(j.Update(apart, a), b)
			atOnce = j.Update(atOnce, merged(a, b))
		}
		for what, same := range map[string]bool{
			"verdict": fmt.Sprint(apart.verdict) == fmt.Sprint(atOnce.verdict), "proofs": fmt.Sprint(apart.gates) == fmt.Sprint(atOnce.gates),
			"fresh proofs": apart.fresh[kindErrors].lnE() == atOnce.fresh[kindErrors].lnE(), "spread": apart.spread.text() == atOnce.spread.text(),
			"blocks": fmt.Sprint(apart.blocks) == fmt.Sprint(atOnce.blocks), "open block": fmt.Sprint(apart.open) == fmt.Sprint(atOnce.open),
		} {
			if !same {
				t.Errorf("%s: apart %v, at once %v", what, apart, atOnce)
			}
		}
	})
}
