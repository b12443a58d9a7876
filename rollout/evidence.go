package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
	"github.com/headgate/headgate/rollout/judge"
)

// longestTick is for how long one count of calls counts at most. A longer one comes from a clock that was put ahead or a source
// that was away: it must neither spend the judge's budget for changes that are still to come nor pass for time that was observed.
const longestTick = time.Minute

// comparing says whether canary and stable have calls that can be compared.
func (l *look) comparing() bool {
	switch l.status.Phase {
	case v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval, v1alpha1.RolloutPromoting,
		v1alpha1.RolloutReleasing, v1alpha1.RolloutAwaitingSwap:
		return l.status.Weight > 0
	case v1alpha1.RolloutRechecking:
		// What the last calls come to is still to be judged.
		return true
	}
	return false
}

// judge is the judge of the present step: the calls that the canary gets after it are what it has to prove to be harmless.
func (l *look) judge() judge.Judge {
	j := l.settings.judge
	j.Shares = l.settings.sharesAfter(l.stepIndex())
	return j
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
	l.judged = l.judge().Decide(state)
	l.describe(e, state)
}

func (l *look) update(state judge.State, e *v1alpha1.RolloutEvidence, calls Calls) judge.State {
	l.counted = true
	start := calls.Start.Truncate(time.Microsecond)
	tick := judge.Tick{
		Elapsed: min(calls.End.Sub(calls.Start), longestTick), Canary: calls.Canary, Stable: calls.Stable,
		Fresh: l.stepping() && l.status.LiveSince != nil && !start.Before(l.status.LiveSince.Time),
		Cold:  start.Before(l.coldUntil()),
	}
	if l.settings.latency && calls.Start.Before(l.warmFrom()) {
		// Stable is warm: what its calls take is what the bets are chosen from.
		state = l.judge().Learn(state, tick.Stable.Latencies)
		tick.Canary.Latencies, tick.Stable.Latencies = nil, nil
	}
	e.CountedUntil, e.Source = micro(earlier(calls.End, l.now)), text.Cut(calls.Source, 64)
	state = l.judge().Update(state, tick)
	if tick.Fresh {
		e.Step, e.StepStable = add(e.Step, calls.Canary), add(e.StepStable, calls.Stable)
		if !state.Outage() {
			e.StepObserved = &metav1.Duration{Duration: l.observedInStep() + tick.Elapsed}
		}
	}
	return state
}

// coldUntil is until when calls may be among the first ones of new pods: those of a step that has just begun, or of a pod that
// was replaced.
func (l *look) coldUntil() time.Time {
	since := l.seen.Canary.ReadySince
	if since.After(l.now) {
		since = time.Time{} // by another clock
	}
	if l.status.StepStarted != nil {
		since = later(since, l.status.StepStarted.Time)
	}
	if l.status.LiveSince != nil && l.status.Weight > 0 {
		since = later(since, l.status.LiveSince.Time)
	}
	return since.Add(coldTime)
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
	// A changed analysis starts the tests over. Beside their numbers, those of before would compare what does not belong together.
	e.Canary, e.Stable = totals(v.Canary), totals(v.Stable)
	e.Outage = v.Outage
	e.ExpectedErrors = strconv.FormatFloat(v.Expected, 'f', 1, 64)
	e.Odds = fmt.Sprintf("%s of %s", odds(max(v.Evidence, v.Alarm)), odds(v.Threshold))
	e.Against = fmt.Sprintf("%.1f of %.1f, lately %.1f", max(0, v.Evidence), v.Threshold, max(0, v.Alarm))
	var gates []string
	for _, g := range v.Gates {
		gates = append(gates, fmt.Sprintf("%s %.1f of %.1f, %.1f of %.1f in this step", g.Name, g.Evidence, g.Threshold, g.Fresh, g.FreshNeeded))
	}
	e.For = text.Cut(strings.Join(gates, "; "), 256)
	e.Spread = ""
	if v.Spread > 1 {
		e.Spread = strconv.FormatFloat(v.Spread, 'g', 2, 64)
	}
	e.Percent, e.Remaining = percentOfEvidence(v), l.remaining(e, v)
}

// percentOfEvidence is how much of what leaving the step asks for there is.
func percentOfEvidence(v judge.Verdict) int32 {
	part := 1.0
	for _, g := range v.Gates {
		part = min(part, g.Part())
	}
	return int32(100 * part)
}

// remaining is how long the rest of the evidence takes, at the traffic of this step.
func (l *look) remaining(e *v1alpha1.RolloutEvidence, v judge.Verdict) string {
	observed := l.observedInStep()
	if !l.stepping() || observed == 0 {
		return ""
	}
	traffic := trafficOf(v1alpha1.CallCount{
		Calls: e.Step.Calls + e.StepStable.Calls, Errors: e.Step.Errors + e.StepStable.Errors,
	}, observed)
	left := l.judge().Remaining(v, traffic, l.status.Weight)
	if left == 0 {
		return ""
	}
	return about(left)
}

// odds are evidence for people, with two digits.
func odds(nats float64) string {
	ratio := math.Exp(min(max(0, nats), 20))
	switch {
	case ratio < 10:
		return strconv.FormatFloat(ratio, 'f', 1, 64) + " : 1"
	case nats > 20:
		return "more than 400,000,000 : 1"
	}
	digits := math.Pow(10, math.Floor(math.Log10(ratio))-1)
	return strconv.FormatFloat(math.Round(ratio/digits)*digits, 'f', 0, 64) + " : 1"
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
	return &v1alpha1.RolloutEvidence{CountedUntil: micro(l.now)}
}

// nextPart asks for what each step has to bring for itself. All that is known stays.
func (l *look) nextPart() { l.changeState(l.judge().NextStep) }

// askAfresh starts what speaks for the canary, and what makes it suspected, over. What speaks against it for good stays.
func (l *look) askAfresh() { l.changeState(l.judge().Recheck) }

func (l *look) changeState(change func(judge.State) judge.State) {
	e := l.status.Evidence
	if state, err := judge.ParseState(e.State); err == nil {
		e.State = change(state).String()
	}
	e.StepObserved, e.Step, e.StepStable, e.Percent, e.Remaining = nil, v1alpha1.CallCount{}, v1alpha1.CallCount{}, 0, ""
}

// undecided: the step was observed for maxHold, and the evidence still suffices for nothing. Only a look that counts calls may say so,
// for without a source nothing is known; and silence says nothing where there must be traffic.
func (l *look) undecided() bool {
	e := l.status.Evidence
	return l.stepping() && l.counted && !e.Outage && !l.passed && l.judged.Decision == judge.Hold &&
		l.observedInStep() >= l.settings.maxHold && (callsOf(e.Step) > 0 || !l.settings.mustHaveTraffic)
}

// verdict is the one that lets the present step be left, if the evidence suffices for one by now.
func (l *look) verdict() *v1alpha1.StepVerdict {
	out := &v1alpha1.StepVerdict{
		Step: l.status.Step, Revision: l.status.Revision, Reason: v1alpha1.VerdictEvidence, Time: *micro(l.now),
		Message: text.Cut(l.numbers(), mostMessage),
	}
	switch e := l.status.Evidence; {
	case l.skips():
		out.Reason = v1alpha1.VerdictSkipped
		return out
	case e.Outage:
		return nil
	case l.judged.Decision == judge.Advance && (callsOf(e.Step) > 0 || l.judged.Streams):
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

// numbers are those that the judge goes by: the canary's errors beside those that its share of the calls would have given it. Rates of
// the whole rollout could say the opposite, because the share changes from step to step.
func (l *look) numbers() string {
	e := l.status.Evidence
	errors := e.Canary.Errors+e.Stable.Errors > 0
	out := fmt.Sprintf("no call failed, of %d to the canary", e.Canary.Calls)
	if errors {
		out = fmt.Sprintf("canary failed %d of %d calls; as good as stable it would have failed %s", e.Canary.Errors, e.Canary.Calls, e.ExpectedErrors)
	}
	if e.Canary.Cancelled+e.Stable.Cancelled > 0 {
		out += fmt.Sprintf("; callers gave up %d of its %d calls, and %d of stable's %d",
			e.Canary.Cancelled, callsOf(e.Canary), e.Stable.Cancelled, callsOf(e.Stable))
	}
	if errors && e.Step.Calls > 0 && e.StepStable.Calls > 0 {
		out += fmt.Sprintf("; in this step %s of its calls, %s of stable's", rate(e.Step), rate(e.StepStable))
	}
	if e.Latency != nil && e.Latency.Canary != "" {
		out += fmt.Sprintf("; it took %s, stable %s", e.Latency.Canary, e.Latency.Stable)
	}
	if e.Odds != "" {
		out += fmt.Sprintf("; odds that it is worse %s", e.Odds)
	}
	if e.Source != "" {
		out += " (counted by " + e.Source + ")"
	}
	return out
}

// callsOf are all that came to an end, in one way or the other.
func callsOf(c v1alpha1.CallCount) int64 { return c.Calls + c.Cancelled }

// rate is the share of calls that failed, for people.
func rate(c v1alpha1.CallCount) string {
	percent := 100 * float64(c.Errors) / float64(max(1, c.Calls))
	if percent >= 10 {
		return strconv.FormatFloat(percent, 'f', 0, 64) + " %" // Two digits of 100 would be 1e+02.
	}
	return strconv.FormatFloat(percent, 'g', 2, 64) + " %"
}

func add(before v1alpha1.CallCount, more judge.Counts) v1alpha1.CallCount {
	return v1alpha1.CallCount{
		Calls: before.Calls + count(more.Calls), Errors: before.Errors + count(min(more.Errors, more.Calls)),
		Cancelled: before.Cancelled + count(more.Cancelled),
	}
}

func totals(n judge.Totals) v1alpha1.CallCount {
	return v1alpha1.CallCount{Calls: total(n.Calls), Errors: total(n.Errors), Cancelled: total(n.Cancelled)}
}

func total(n uint64) int64 { return int64(min(n, math.MaxInt64)) } //nolint:gosec // within bounds

// count is a number of calls of one look as the status holds it.
func count(n uint64) int64 { return int64(min(n, math.MaxInt32)) } //nolint:gosec // within bounds
