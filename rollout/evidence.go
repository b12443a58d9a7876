package rollout

import (
	"fmt"
	"math"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
	"github.com/headgate/headgate/rollout/judge"
)

// longestTick is for how long one count of calls counts at most. A longer one comes from a clock that was put ahead or a source
// that was away: it must neither spend the judge's budget for changes that are still to come nor pass for time that was observed.
const longestTick = time.Minute

// outageShare is the share of stable's calls that fail above which a count says that something is wrong with more than the canary.
const outageShare = 0.1

// comparing says whether canary and stable have calls that can be compared.
func (l *look) comparing() bool {
	switch l.status.Phase {
	case v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval, v1alpha1.RolloutPromoting,
		v1alpha1.RolloutAwaitingSwap:
		return l.status.Weight > 0
	}
	return false
}

// takeCalls feeds the calls to the judge, and hears what it says. Each interval is taken in once: its end is remembered with the
// state of the tests that it has changed.
func (l *look) takeCalls() {
	e := l.status.Evidence
	if e == nil {
		return
	}
	state, err := judge.ParseState(e.State)
	if err != nil {
		// Another version's evidence is none: the tests start over.
		e.Canary, e.Stable, e.Latency = v1alpha1.CallCount{}, v1alpha1.CallCount{}, nil
	}
	calls := l.seen.Calls
	if l.comparing() && calls.tell(l.now) && !calls.Start.Truncate(time.Microsecond).Before(e.CountedUntil.Time) {
		state = l.update(state, e, calls)
		e.State = state.String()
	}
	l.judged = l.settings.judge.Decide(state)
	l.describe(e, state)
}

func (l *look) update(state judge.State, e *v1alpha1.RolloutEvidence, calls Calls) judge.State {
	l.counted = true
	tick := judge.Tick{Elapsed: min(calls.End.Sub(calls.Start), longestTick), Canary: calls.Canary, Stable: calls.Stable}
	if l.settings.latency && calls.Start.Before(l.warmFrom()) {
		// Stable is warm: what its calls take is what the bets are chosen from.
		state = l.settings.judge.Learn(state, tick.Stable.Latencies)
		tick.Canary.Latencies, tick.Stable.Latencies = nil, nil
	}
	e.CountedUntil, e.Source = micro(earlier(calls.End, l.now)), text.Cut(calls.Source, 64)
	e.Canary, e.Stable = add(e.Canary, calls.Canary), add(e.Stable, calls.Stable)
	e.Outage = calls.Stable.Calls > 0 && float64(calls.Stable.Errors) > outageShare*float64(calls.Stable.Calls)

	live := l.status.LiveSince
	if !l.stepping() || live == nil || calls.Start.Truncate(time.Microsecond).Before(live.Time) {
		// Calls from before the step speak against the canary as well as any, but not for leaving this step.
		return l.settings.judge.UpdateAgainst(state, tick)
	}
	e.StepCalls += count(calls.Canary.Calls)
	if e.Outage {
		// To fail no more often than what fails anyway proves little. Leaving out when stable fails can only make the canary look worse.
		return l.settings.judge.UpdateAgainst(state, tick)
	}
	e.StepObserved = &metav1.Duration{Duration: ptr.Deref(e.StepObserved, metav1.Duration{}).Duration + tick.Elapsed}
	return l.settings.judge.Update(state, tick)
}

// warmFrom is from when on latencies are judged: warmUp after the newest pod became ready. When the pods of the user's own canary
// became so nobody knows; what is known is when the canary got the weight of the step. While nothing at all is known it is not warm.
func (l *look) warmFrom() time.Time {
	since := l.now
	switch {
	case !l.seen.Canary.ReadySince.IsZero():
		since = l.seen.Canary.ReadySince
	case l.ownCanary() && l.status.StepStarted != nil:
		since = l.status.StepStarted.Time
	}
	return since.Add(l.settings.warmUp)
}

// describe puts the evidence into words.
func (l *look) describe(e *v1alpha1.RolloutEvidence, state judge.State) {
	if e.State == "" {
		return
	}
	v := l.judged
	missing := ""
	switch {
	case l.counted && l.settings.latency:
		missing = l.seen.Calls.NoLatencies
	case !l.counted && e.Latency != nil:
		missing = e.Latency.Missing
	}
	e.Latency = latencyEvidence(v, state, missing)
	e.Against = fmt.Sprintf("%.1f of %.1f", max(0, v.Evidence), v.Threshold)
	var gates []string
	for _, g := range v.Gates {
		gates = append(gates, fmt.Sprintf("%s %.1f of %.1f", g.Name, g.Evidence, v.GateThreshold))
	}
	e.For = strings.Join(gates, ", ")
}

// latencyEvidence is that of latencies; nil: there is nothing to say of them.
func latencyEvidence(v judge.Verdict, state judge.State, missing string) *v1alpha1.LatencyEvidence {
	canary, stable := state.Took()
	out := &v1alpha1.LatencyEvidence{Missing: text.Cut(missing, 256)}
	if canary.Calls == 0 && stable.Calls == 0 {
		if missing == "" {
			return nil
		}
		return out
	}
	out.Canary, out.Stable = text.Cut(canary.String(), 128), text.Cut(stable.String(), 128)
	for _, test := range v.Tests {
		if test.Name == judge.TestLatency {
			out.Against = fmt.Sprintf("%.1f", test.Evidence)
		}
	}
	return out
}

// newEvidence starts the tests of a revision over. Only calls from now on count.
func (l *look) newEvidence() *v1alpha1.RolloutEvidence {
	state := l.settings.judge.Learn(judge.State{}, l.seen.Calls.Before)
	return &v1alpha1.RolloutEvidence{State: state.String(), CountedUntil: micro(l.now)}
}

// askAfresh starts what speaks for leaving a step over. What speaks against the canary stays.
func (l *look) askAfresh() {
	e := l.status.Evidence
	state, err := judge.ParseState(e.State)
	if err == nil {
		e.State = l.settings.judge.NextStep(state).String()
	}
	e.StepObserved, e.StepCalls = nil, 0
}

// undecided: the step was observed for maxHold, and the evidence still suffices for nothing. Only a look that counts calls may say so,
// for without a source nothing is known; and silence says nothing where there must be traffic.
func (l *look) undecided() bool {
	e := l.status.Evidence
	return l.stepping() && l.counted && !e.Outage && !l.passed && l.judged.Decision == judge.Hold &&
		ptr.Deref(e.StepObserved, metav1.Duration{}).Duration >= l.settings.maxHold &&
		(e.StepCalls > 0 || !l.settings.mustHaveTraffic)
}

// verdict is the one that lets the present step be left, if the evidence suffices for one by now.
func (l *look) verdict() *v1alpha1.StepVerdict {
	out := &v1alpha1.StepVerdict{
		Step: l.status.Step, Revision: l.status.Revision, Reason: v1alpha1.VerdictEvidence, Time: *micro(l.now),
		Message: text.Cut(l.numbers(), mostMessage),
	}
	switch e := l.status.Evidence; {
	case e.Outage:
		return nil
	case l.judged.Decision == judge.Advance && e.StepCalls > 0:
		return out
	case l.undecided() && l.settings.whenUndecided == v1alpha1.UndecidedAdvance && !l.judged.Doubtful:
		out.Reason = v1alpha1.VerdictUndecided
		return out
	case l.status.Weight == allParts && l.verdictOf(l.status.Step-1) != nil && l.liveFor(l.step().hold) &&
		!l.judged.Doubtful && tooFewReady(l) == "":
		out.Reason = v1alpha1.VerdictAllCalls
		return out
	}
	return nil
}

// verdictOf is the verdict on a step of the present revision, or nil.
func (l *look) verdictOf(step int32) *v1alpha1.StepVerdict {
	for i := range l.status.Verdicts {
		if v := &l.status.Verdicts[i]; v.Step == step && v.Revision == l.status.Revision {
			return v
		}
	}
	return nil
}

// numbers are those that the judge goes by.
func (l *look) numbers() string {
	e := l.status.Evidence
	text := fmt.Sprintf("canary failed %d of %d calls, stable %d of %d", e.Canary.Errors, e.Canary.Calls, e.Stable.Errors, e.Stable.Calls)
	if e.Latency != nil && e.Latency.Canary != "" {
		text += fmt.Sprintf("; canary took %s, stable %s", e.Latency.Canary, e.Latency.Stable)
	}
	if e.Against != "" {
		text += "; against the canary " + e.Against
	}
	if e.For != "" {
		text += ", for it " + e.For
	}
	if e.Source != "" {
		text += " (counted by " + e.Source + ")"
	}
	return text
}

func add(before v1alpha1.CallCount, more judge.Counts) v1alpha1.CallCount {
	return v1alpha1.CallCount{Calls: before.Calls + count(more.Calls), Errors: before.Errors + count(min(more.Errors, more.Calls))}
}

// count is a number of calls of one look as the status holds it.
func count(n uint64) int64 { return int64(min(n, math.MaxInt32)) } //nolint:gosec // within bounds
