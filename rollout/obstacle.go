package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// obstacle says why a step cannot be left, or nothing.
type obstacle func(*look) string

// beforeWebhooks are the obstacles that have to be out of the way before anybody is asked.
var beforeWebhooks = []obstacle{paused, unknownWorkload, notLive, holding, outage, unproven, doubtful, tooFewReady}

// beforeApproval are all but the missing approval.
var beforeApproval = append(slices.Clone(beforeWebhooks), webhooksDisagree)

// beforePods are what keeps a prepared step from being started. The weight before it has to be served, also if that is zero: a client
// without a proxy fails calls that it gives to a canary of which it has not been told before.
var beforePods = []obstacle{paused, unknownWorkload, unplanned, rising(outage), rising(doubtful), tooFewReady, rising(refused), rising(notLive)}

// beforeRelease are what keeps a revision that has the calls from being released: with all of them no doubt would ever be dispelled.
var beforeRelease = []obstacle{paused, unknownWorkload, unplanned, unseen, notAllReady, refused, notLive}

// beforeMore are what keeps the weight from following the pods. A first step may be begun in doubt, which calls dispel.
var beforeMore = append(slices.Clone(beforeRelease), outage, beyondTheFirst(doubtful))

func beyondTheFirst(check obstacle) obstacle {
	return func(l *look) string {
		if l.status.Phase == v1alpha1.RolloutPreparing && l.status.Step <= 1 {
			return ""
		}
		return check(l)
	}
}

// rising is an obstacle to giving the canary more calls alone. A step with no more than it has, as after an edit of the spec, is started
// in spite of it: nothing is gained by waiting, and only within a step do the gates and maxHold apply.
func rising(check obstacle) obstacle {
	return func(l *look) string {
		if l.step().weight <= l.status.Weight {
			return ""
		}
		return check(l)
	}
}

// firstObstacle is the first of a list that is in the way.
func (l *look) firstObstacle(list []obstacle) string {
	for _, check := range list {
		if why := check(l); why != "" {
			return why
		}
	}
	return ""
}

func paused(l *look) string {
	if l.settings.paused {
		return "paused"
	}
	return ""
}

func unknownWorkload(l *look) string {
	if l.desired != "" {
		return ""
	}
	return "nothing is known of " + l.status.Target + because(l.seen.Workload.Why)
}

func notLive(l *look) string {
	if l.status.LiveSince != nil {
		return ""
	}
	return "waits for the data plane to serve the weight" + because(l.seen.DataPlane.Why)
}

func holding(l *look) string {
	if hold := l.step().hold; !l.liveFor(hold) && !l.skips() {
		return "holds until " + clock(l.status.LiveSince.Add(hold))
	}
	return ""
}

// outage: stable fails too, so that something else is wrong, which is no time for changes.
func outage(l *look) string {
	if l.status.Weight == 0 || l.status.Waiver != "" || l.status.Evidence == nil || !l.status.Evidence.Outage {
		return ""
	}
	return "waits for stable, more than a tenth of whose calls failed within the last moments"
}

// unproven: the verdict has to be on record, not only in mind.
func unproven(l *look) string {
	if l.passed || l.skips() {
		return ""
	}
	e := l.status.Evidence
	switch {
	case l.verdictOf(l.status.Step) != nil:
		return "the verdict is recorded"
	case !l.seen.Calls.Known && l.seen.Calls.Why != "":
		return "waits for evidence; the calls cannot be counted" + because(l.seen.Calls.Why)
	case e.CountedUntil == nil || e.StepObserved == nil:
		return "waits for the first count of calls"
	case callsOf(e.Step) == 0 && !l.judged.Streams:
		return "waits for evidence; the canary has had no calls in this step that have ended: of calls that last, such as streams, only the end is counted"
	case l.settings.latency && e.Latency != nil && e.Latency.Missing != "":
		return "waits for evidence; analysis.latency is set, and " + e.Source + " has no latencies: " + e.Latency.Missing +
			"; set analysis.workload or analysis.prometheus.latencies, or remove analysis.latency"
	case l.settings.latency && l.now.Before(l.warmFrom()):
		return "waits for evidence; latencies are judged from " + clock(l.warmFrom()) + " on, when the canary is warm"
	}
	if l.status.Weight == allParts && l.status.Step == 1 {
		return "waits for evidence, and there are no calls to stable to compare with: put a smaller step first"
	}
	return l.waitsForEvidence()
}

// waitsForEvidence says how much there is, and how long the rest will take.
func (l *look) waitsForEvidence() string {
	e := l.status.Evidence
	next := "all calls"
	if shares := l.settings.sharesAfter(l.stepIndex()); shares[0] != allParts {
		next = percentOf(shares[0])
	}
	out := fmt.Sprintf("%d %% of the evidence for %s", e.Percent, next)
	switch e.Remaining {
	case "":
	case veryLong:
		out += ", " + veryLong + " to go"
	default:
		out += ", about " + e.Remaining + " more"
	}
	if share := l.servedShare(); share != "" {
		out += "; the canary has " + share + " of the calls instead of " + percentOf(l.status.Weight)
	}
	if l.judged.Streams {
		out += "; most calls last, and those that begin and break are compared"
	}
	if l.judged.Doubtful {
		// All of the evidence for it may be there, and it does not suffice.
		out += "; something speaks against the canary, odds that it is worse " + e.Odds
	}
	return out
}

// servedShare is the part of the calls of this step that ended at the canary, if that is much less than its weight; empty: it is not.
func (l *look) servedShare() string {
	e := l.status.Evidence
	canary, all := float64(callsOf(e.Step)), float64(callsOf(e.Step)+callsOf(e.StepStable))
	if expected := all * float64(l.status.Weight) / allParts; expected < 50 || 3*canary > expected {
		return ""
	}
	return strconv.FormatFloat(100*canary/all, 'g', 2, 64) + " %"
}

func doubtful(l *look) string {
	if l.status.Weight == 0 || l.status.Evidence == nil || !l.judged.Doubtful {
		return "" // Without calls no doubt would ever be dispelled: the first step may be started with one.
	}
	return "something speaks against the canary"
}

// unseen: there is no canary of this revision, as far as is known, or nothing leads to it.
func unseen(l *look) string {
	c := l.seen.Canary
	switch {
	case !c.Known:
		return "nothing is known of the canary's pods" + because(c.Why)
	case !c.Found:
		return "waits for the canary to be made"
	case !l.ownCanary() && c.Revision != l.status.Revision:
		return "waits for the canary's ReplicaSet to be made"
	case c.Unserved:
		return "waits for the canary's Service to be made"
	}
	return ""
}

// tooFewReady: the pods without which the step's weight would be more than their fair share are not ready.
func tooFewReady(l *look) string {
	want := int32(1)
	if !l.ownCanary() {
		want = max(l.seen.Workload.need(l.step().weight), 1)
	}
	return or(unseen(l), l.waitsForPods(want))
}

// notAllReady: pods that the canary is to have now are not ready.
func notAllReady(l *look) string { return l.waitsForPods(l.status.Replicas) }

func (l *look) waitsForPods(want int32) string {
	have := l.usable()
	if have >= want {
		return ""
	}
	return fmt.Sprintf("waits for the canary's pods: %d of %d ready", have, want) + because(l.seen.Canary.Waits)
}

// refused: something that the rollout stands on is not as it is to be. The message ends with what.
func refused(l *look) string {
	if l.seen.Refused == "" {
		return ""
	}
	return "waits for what is refused"
}

func webhooksDisagree(l *look) string {
	var missing []string
	for _, name := range l.unanswered() {
		why := name
		if a, given := l.answer(name); given && a.Words != "" {
			why += " (" + a.Words + ")"
		}
		missing = append(missing, why)
	}
	if len(missing) == 0 {
		return ""
	}
	return "waits for webhooks to agree: " + strings.Join(missing, ", ")
}

// unanswered are the webhooks that have not agreed to leaving this step of this revision.
func (l *look) unanswered() []string {
	var out []string
	if l.skips() {
		return nil
	}
	for _, name := range l.settings.webhooks {
		if a, given := l.answer(name); !given || !a.Agrees {
			out = append(out, name)
		}
	}
	return out
}

// refusing is the first webhook that keeps the step: nothing else does, and it has been asked. Nothing: there is none.
func (l *look) refusing() string {
	if !l.leaving() || l.firstObstacle(beforeWebhooks) != "" {
		return ""
	}
	for _, name := range l.unanswered() {
		if _, given := l.answer(name); given {
			return name
		}
	}
	return ""
}

func (l *look) answer(name string) (Answer, bool) {
	a, given := l.seen.Answers[name]
	return a, given && a.Revision == l.status.Revision && a.Step == l.status.Step
}

// approved: nobody has to agree, or somebody did.
func (l *look) approved() bool {
	return !l.step().approval || l.seen.Approve == l.approval() || l.skips()
}

// skips: somebody wants this step of this revision left without proof, in this attempt.
func (l *look) skips() bool { return l.seen.Skip == l.approval() && l.stepping() }

// by is who has set an annotation, for people.
func (l *look) by(annotation string) string {
	if who := l.seen.By[annotation]; who != "" {
		return " by " + who
	}
	return ""
}

// approval is the value of the annotation that approves of leaving this step of this revision, in this attempt.
func (l *look) approval() string {
	value := fmt.Sprintf("%s/%d", l.status.Revision, l.status.Step)
	if l.status.Attempt > 1 {
		value += fmt.Sprintf("/%d", l.status.Attempt)
	}
	return value
}

// stepping: the canary has the weight of a step.
func (l *look) stepping() bool {
	return l.status.Phase == v1alpha1.RolloutStepping || l.status.Phase == v1alpha1.RolloutAwaitingApproval
}

// leaving: the step could be left as far as the state machine goes.
func (l *look) leaving() bool { return l.stepping() && !l.withdrawn() }

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
