package judge_test

import (
	"testing"
	"time"

	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/bench/judge/control"
	"github.com/headgate/headgate/test/bench/judge/experiment"
)

// The acceptance experiments: `go run ./test/bench/judge` prints the same with more runs.
func TestExperiments(t *testing.T) {
	for _, e := range experiment.All() {
		t.Run(e.ID+" "+e.Name, func(t *testing.T) {
			for _, miss := range e.Misses(e.Run(min(e.Runs, shrink(60)))) {
				t.Error(miss)
			}
		})
	}
}

// What the experiments would show of a rule that is wrong: without it, an experiment that nothing fails proves nothing.
func TestExperimentsFailTheRulesOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("the rules of others are slow")
	}
	least := func(id, name string, share float64, start func() control.Watcher) {
		t.Helper()
		for _, e := range experiment.All() {
			if e.ID != id || e.Name != name {
				continue
			}
			r := e.Watch(30, func(uint64) control.Watcher { return start() })
			if got := float64(r.Hits) / float64(r.Runs); got < share {
				t.Errorf("%s %s: rolls back in %.0f %% of the runs, expected at least %.0f %%", id, name, 100*got, 100*share)
			}
			return
		}
		t.Errorf("there is no experiment %s %s", id, name)
	}
	flagger := func() control.Watcher { return &control.Flagger{MinSuccess: 0.99, Failures: 5} }
	peeking := func() control.Watcher { return &control.ZTest{} }
	kayenta := func() control.Watcher { return &control.Kayenta{Metric: control.ErrorRatio} }
	least("A1", "alike, 1 %, 1/9 rps", 0.9, flagger)
	least("A5", "both arms x20 for 5 min", 0.6, flagger)
	least("A6", "no errors, 0.01/0.09 rps", 0.9, flagger)
	least("A1", "alike, .1 %, 10/90 rps", 0.2, peeking)
	least("A2", "at the margin, 6 h, 1 %, 10/90 rps, alpha 5 %", 0.5, kayenta)
}

// restarted is a judge whose process ends after each tick: all that it knows is the text.
type restarted struct {
	t     *testing.T
	judge judge.Judge
	text  string
}

func (w *restarted) update(t judge.Tick) judge.Verdict {
	s, err := judge.ParseState(w.text)
	if err != nil {
		w.t.Fatal(err)
	}
	s = w.judge.Update(s, t)
	w.text = s.String()
	if len(w.text) > judge.MostText {
		w.t.Fatalf("the state takes %d bytes", len(w.text))
	}
	return w.judge.Decide(s)
}

func TestRestartsChangeNothing(t *testing.T) {
	for _, e := range experiment.All() {
		if e.ID != "C1" && e.ID != "D1" && e.ID != "F1" && e.ID != "A7" {
			continue
		}
		start := e.Judge.Learn(judge.State{}, e.Rollout.Before(7))
		again := restarted{t, e.Judge, start.String()}
		n := 0
		for tick := range e.Rollout.Ticks(7) {
			start = e.Judge.Update(start, tick)
			was, is := e.Judge.Decide(start), again.update(tick)
			if was.String() != is.String() || start.String() != again.text {
				t.Fatalf("%s %s, tick %d: %v without a restart, %v with one", e.ID, e.Name, n, was, is)
			}
			if n++; n == 60 {
				break
			}
		}
	}
}

// A scrape that is missed makes one tick of two: the decision stays, and comes at the end of a tick as before.
func TestMissedScrapesChangeNoDecision(t *testing.T) {
	for _, e := range experiment.All() {
		if e.ID != "D1" && e.ID != "D5" && e.ID != "A1" {
			continue
		}
		same, runs := 0, shrink(40)
		for run := range uint64(runs) {
			if missing(e, run, 0) == missing(e, run, 3) {
				same++
			}
		}
		if same < runs-1-runs/20 {
			t.Errorf("%s %s: the decision is the same in %d of %d runs", e.ID, e.Name, same, runs)
		}
	}
}

// missing is whether a rollout is rolled back within an hour when each nth tick's scrape is missed.
func missing(e experiment.Experiment, run uint64, nth int) bool {
	s := e.Judge.Learn(judge.State{}, e.Rollout.Before(run))
	n, missed := 0, judge.Tick{}
	for t := range e.Rollout.Ticks(run) {
		if n++; nth > 0 && n%nth == 0 {
			missed = t
			continue
		}
		s = e.Judge.Update(s, merged(missed, t))
		missed = judge.Tick{}
		if e.Judge.Decide(s).Decision == judge.RollBack {
			return true
		}
	}
	return false
}

func merged(a, b judge.Tick) judge.Tick {
	return judge.Tick{Elapsed: a.Elapsed + b.Elapsed, Canary: plus(a.Canary, b.Canary), Stable: plus(a.Stable, b.Stable)}
}

func plus(a, b judge.Counts) judge.Counts {
	return judge.Counts{Calls: a.Calls + b.Calls, Errors: a.Errors + b.Errors, Latencies: append(append([]judge.Bucket(nil), a.Latencies...), b.Latencies...)}
}

func TestAVeryQuietRolloutIsHeld(t *testing.T) {
	j := judge.Default()
	var s judge.State
	for range 1000 {
		s = j.Update(s, judge.Tick{Elapsed: 10 * time.Second})
	}
	if v := j.Decide(s); v.Decision != judge.Hold || v.Evidence > 0 {
		t.Errorf("without any call: %v", v)
	}
	s = j.Update(s, judge.Tick{Elapsed: time.Second, Canary: judge.Counts{Calls: 1, Errors: 1}, Stable: judge.Counts{Calls: 9}})
	if v := j.Decide(s); v.Decision != judge.Hold {
		t.Errorf("after one error: %v", v)
	}
}
