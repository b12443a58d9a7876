package rollout

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// ladder has the weights that steps are chosen from, in parts of 1,000,000. With half of the calls a canary proves the most.
var ladder = []int32{allParts / 100, allParts / 50, allParts / 20, allParts / 10, allParts / 4, allParts / 2}

const (
	// stepTime is how long a chosen step may take, if the canary is as good as stable.
	stepTime = 2 * time.Minute
	// mostRise is how many times as many calls the next step may have.
	mostRise = 10
	// measureTime is for how long the traffic is measured, and measureLeast if there are measureCalls in it.
	measureTime  = 30 * time.Second
	measureLeast = 10 * time.Second
	measureCalls = 200
)

// measuring: the steps, or the time that they will take, are not said yet.
func (l *look) measuring() bool {
	return l.status.Phase == preparing && !l.hasPlan()
}

func (l *look) hasPlan() bool { return l.status.Plan != nil && len(l.status.Plan.Weights) > 0 }

// measure adds the calls of the first backend: from before the canary has any, or between two steps where the first one began at once.
func (l *look) measure() {
	calls, e := l.seen.Calls, l.status.Evidence
	// What is measured enough is left as it is: a canary may take hours to have its pods, and each change of the status is a write.
	if !l.measuring() || e == nil || !calls.tell(l.now) || l.measured() || calls.Start.Truncate(time.Microsecond).Before(e.CountedUntil.Time) {
		return
	}
	if !l.comparing() {
		e.CountedUntil = micro(earlier(calls.End, l.now))
	}
	if l.status.Plan == nil {
		l.status.Plan = &v1alpha1.RolloutPlan{}
	}
	plan := l.status.Plan
	plan.Observed.Duration += min(calls.End.Sub(calls.Start), longestTick)
	plan.Stable = add(add(plan.Stable, calls.Stable), calls.Canary)
}

// measured: enough is known of the traffic.
func (l *look) measured() bool {
	plan := l.status.Plan
	if plan == nil {
		return false
	}
	return plan.Observed.Duration >= measureTime || plan.Observed.Duration >= measureLeast && plan.Stable.Calls >= measureCalls
}

// planned: the traffic is known, and with it the steps.
func planned(l *look) (string, bool) {
	if !l.settings.chosen || !l.measuring() || !l.measured() {
		return "", false
	}
	next := l.plan()
	return fmt.Sprintf("at %s calls/s: in steps of %s, which take %s", next.CallsPerSecond, weightsOf(next.Weights), roughly(next.Expected)), true
}

func (l *look) takePlan() {
	l.status.Plan = l.plan()
	// Now the steps are known.
	l.settings = settingsOf(l.spec, l.status.Plan)
}

// plan is made of the traffic that was measured.
func (l *look) plan() *v1alpha1.RolloutPlan {
	out := l.status.Plan.DeepCopy()
	traffic := trafficOf(out.Stable, out.Observed.Duration)
	if l.settings.chosen {
		// Not from the error rate, of which little is known yet.
		out.Weights = choose(l.settings.judge, judge.Traffic{CallsPerSecond: traffic.CallsPerSecond}, l.settings.maxFirst)
	} else {
		for _, step := range l.settings.steps {
			out.Weights = append(out.Weights, step.weight)
		}
	}
	out.CallsPerSecond = perSecond(traffic.CallsPerSecond)
	out.Expected = l.expected(traffic, out.Weights)
	return out
}

// perSecond is a rate for people. Three digits of a thousand and more would be 1e+03.
func perSecond(rate float64) string {
	if rate >= 100 {
		return strconv.FormatFloat(rate, 'f', 0, 64)
	}
	return strconv.FormatFloat(rate, 'g', 3, 64)
}

// few calls without an error are assumed, so that one error in a few calls is no rate.
const few = 50

func trafficOf(calls v1alpha1.CallCount, in time.Duration) judge.Traffic {
	out := judge.Traffic{CallsPerSecond: float64(calls.Calls) / max(in.Seconds(), 1e-3)}
	out.ErrorRate = float64(calls.Errors) / float64(calls.Calls+few)
	return out
}

// choose takes the smallest first weight that can be left in time, and from each on the largest that can be reached. With so few calls that none
// can, it begins with the most that it may: as few callers are harmed in a minute as with a smaller part of more.
func choose(j judge.Judge, traffic judge.Traffic, maxFirst int32) []int32 {
	for _, first := range ladder {
		if first >= maxFirst {
			break
		}
		if weights := climb(j, traffic, first); weights != nil {
			return weights
		}
	}
	if weights := climb(j, traffic, maxFirst); weights != nil {
		return weights
	}
	return rise(maxFirst)
}

// rise are the fewest steps from a first one on, however long they take.
func rise(first int32) []int32 {
	weights := []int32{first}
	for at := first; at < ladder[len(ladder)-1]; at = weights[len(weights)-1] {
		next := mostRise * at
		for _, weight := range ladder {
			if weight > at && weight <= mostRise*at {
				next = weight
			}
		}
		weights = append(weights, next)
	}
	return weights
}

// climb are the steps from a first one on, if each can be left in time.
func climb(j judge.Judge, traffic judge.Traffic, first int32) []int32 {
	weights := []int32{first}
	for at := first; at < ladder[len(ladder)-1]; at = weights[len(weights)-1] {
		next := int32(0)
		for _, weight := range ladder {
			if weight > at && weight <= mostRise*at && inTime(j, traffic, append(slices.Clip(weights), weight)) {
				next = weight
			}
		}
		if next == 0 {
			return nil
		}
		weights = append(weights, next)
	}
	return weights
}

// inTime says whether the last but one of the steps is left in time.
func inTime(j judge.Judge, traffic judge.Traffic, weights []int32) bool {
	times := j.Plan(traffic, weights, holds(len(weights)))
	return times[len(times)-2] <= stepTime
}

func holds(n int) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = defaultHold
	}
	return list
}

// expected is how long the steps take, for people.
func (l *look) expected(traffic judge.Traffic, weights []int32) string {
	least := holds(len(weights))
	for i := range least {
		if i < len(l.settings.steps) && !l.settings.chosen {
			least[i] = l.settings.steps[i].hold
		}
		if l.settings.latency {
			least[i] += l.settings.warmUp
		}
	}
	if n := len(weights); weights[n-1] == allParts {
		weights, least = weights[:n-1], least[:n-1]
	}
	var total time.Duration
	for _, took := range l.settings.judge.Plan(traffic, weights, least) {
		total = max(total, total+took)
	}
	return about(total)
}

// about is a time for people, with two digits or so.
func about(d time.Duration) string {
	switch {
	case d >= 1000*time.Hour:
		return veryLong
	case d >= 10*time.Hour:
		d = d.Round(time.Hour)
	case d >= time.Hour:
		d = d.Round(10 * time.Minute)
	case d >= 10*time.Minute:
		d = d.Round(time.Minute)
	case d >= time.Minute:
		d = d.Round(10 * time.Second)
	default:
		d = d.Round(time.Second)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// veryLong is a time that nobody waits for.
const veryLong = "more than a month"

// roughly puts a time for people into a sentence.
func roughly(text string) string {
	if text == veryLong {
		return text
	}
	return "about " + text
}

// weightsOf is a list of weights for people.
func weightsOf(weights []int32) string {
	var list []string
	for _, weight := range weights {
		list = append(list, strings.TrimSuffix(percentOf(weight), " %"))
	}
	return strings.Join(list, ", ") + " %"
}

// unplanned: the first step waits for the traffic, where the steps are chosen from it.
func unplanned(l *look) string {
	if !l.settings.chosen || !l.measuring() || l.status.Step > 1 {
		return ""
	}
	seen := time.Duration(0)
	if l.status.Plan != nil {
		seen = l.status.Plan.Observed.Duration
	}
	if seen == 0 && !l.seen.Calls.Known && l.seen.Calls.Why != "" {
		return "waits for the traffic to be counted" + because(l.seen.Calls.Why)
	}
	return fmt.Sprintf("measures the traffic, %d of %d s", int(math.Floor(seen.Seconds())), int(measureTime.Seconds()))
}

// observedInStep is for how long calls of the present step were counted.
func (l *look) observedInStep() time.Duration {
	if l.status.Evidence == nil {
		return 0
	}
	return ptr.Deref(l.status.Evidence.StepObserved, metav1.Duration{}).Duration
}
