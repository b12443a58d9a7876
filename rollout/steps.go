package rollout

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/headgate/headgate/api/v1alpha1"
)

// altered: the spec was changed, so that the step is no more, or has another weight than the canary has.
func altered(l *look) (string, bool) {
	s := &l.status
	if l.settings.chosen && !l.hasPlan() && s.Phase != preparing {
		// The weight that stands for steps that are to be chosen is no step: the canary would get all calls after it.
		return "the steps are to be chosen from the traffic, which is measured first", true
	}
	want := l.step().weight
	missing := int(s.Step) > len(l.settings.steps)
	return fmt.Sprintf("step %d has %s now, and the canary %s", l.stepIndex()+1, percentOf(want), percentOf(min(want, s.Weight))),
		missing || s.Weight > want || s.Phase != preparing && s.Weight != want
}

func (l *look) alter() {
	s := &l.status
	s.Step = int32(l.stepIndex() + 1) //nolint:gosec // at most 20
	s.Verdicts = slices.DeleteFunc(s.Verdicts, func(v v1alpha1.StepVerdict) bool { return v.Step >= s.Step })
	s.Attempt++
	l.setWeight(min(s.Weight, l.step().weight))
	l.nextPart()
}

// doubted: something speaks against the canary where nothing can confirm or dispel it. With all calls there are none to stable; and
// between two steps there is no evidence to gather and no maxHold to end it, so that without calls it would wait for ever.
func doubted(l *look) (string, bool) {
	s := &l.status
	between := s.Phase == preparing && rising(doubtful)(l) != ""
	if s.Step < 2 || !l.judged.Doubtful || !between && (s.Phase == preparing || s.Weight != allParts) {
		return "", false
	}
	why := "nothing is gathered for or against it between two steps"
	if !between {
		why = "there is nothing to compare it with"
	}
	return fmt.Sprintf("something speaks against the canary, and %s: back to step %d of %d, %s",
		why, s.Step-1, len(l.settings.steps), percentOf(l.settings.steps[l.stepIndex()-1].weight)), true
}

func (l *look) stepBack() {
	l.status.Step--
	l.alter()
	l.askAfresh()
}

// prepared: the canary has the pods that the step takes, and gets its weight. That is the one place, but for a canary of the user's
// own that takes over, where a weight rises.
func prepared(l *look) (string, bool) {
	if l.firstObstacle(beforePods) != "" || l.status.Step > 1 && l.verdictOf(l.status.Step-1) == nil {
		return "", false
	}
	return fmt.Sprintf("step %d of %d: %s gets %s", l.status.Step, len(l.settings.steps), l.status.Revision, percentOf(l.step().weight)), true
}

func (l *look) startStep() {
	l.status.StepStarted = micro(l.now)
	l.setWeight(l.step().weight)
	if l.status.Plan != nil && len(l.status.Plan.Weights) == 0 {
		l.status.Plan = l.plan()
	}
	l.nextPart()
}

// passes: the evidence suffices. The verdict is recorded first; what it allows happens in a later look, which finds it in the status.
func passes(l *look) (string, bool) {
	if l.verdictOf(l.status.Step) != nil {
		return "", false
	}
	v := l.verdict()
	if v == nil {
		return "", false
	}
	why := l.promise()
	switch v.Reason {
	case v1alpha1.VerdictSkipped:
		why = "skipped" + l.by(v1alpha1.AnnotationSkip)
	case v1alpha1.VerdictUndecided:
		why = "undecided after " + l.settings.maxHold.String() + ", and whenUndecided is Advance"
	case v1alpha1.VerdictAllCalls:
		why = "with nothing left to compare with"
	}
	return fmt.Sprintf("step %d of %d passed, %s: %s", l.status.Step, len(l.settings.steps), why, v.Message), true
}

// promise says what is known of the canary's error rate once a step is passed.
func (l *look) promise() string {
	shares := l.settings.sharesAfter(l.stepIndex())
	margin := l.settings.judge.Errors.Prove.At(shares[0])
	return fmt.Sprintf("proved to fail at most %s times as often as stable, and %s percentage points more",
		strconv.FormatFloat(margin.Ratio, 'g', 3, 64), strconv.FormatFloat(100*margin.Difference, 'g', 3, 64))
}

func (l *look) recordVerdict() { l.status.Verdicts = append(l.status.Verdicts, *l.verdict()) }

// unapproved: nothing but somebody's approval is missing.
func unapproved(l *look) (string, bool) {
	return fmt.Sprintf("step %d of %d waits for the annotation %s: %s", l.status.Step, len(l.settings.steps), v1alpha1.AnnotationApprove, l.approval()),
		!l.approved() && l.firstObstacle(beforeApproval) == ""
}

// advancing: nothing stands in the way of the next step.
func advancing(l *look) (string, bool) {
	if l.lastStep() || !l.approved() || l.firstObstacle(beforeApproval) != "" {
		return "", false
	}
	next := l.settings.steps[l.stepIndex()+1]
	return fmt.Sprintf("goes on to step %d of %d, %s", l.status.Step+1, len(l.settings.steps), percentOf(next.weight)), true
}

func (l *look) nextStep() {
	l.status.Step++
	l.status.StepStarted = nil
	l.nextPart()
}

// finishing: the last step is passed.
func finishing(l *look) (string, bool) {
	if !l.lastStep() || !l.approved() || l.firstObstacle(beforeApproval) != "" {
		return "", false
	}
	if l.ownCanary() {
		return "all steps are passed: the canary gets everything", true
	}
	return fmt.Sprintf("all steps are passed: %s gets the other pods of %s, and the calls with them", l.status.Revision, l.status.Target), true
}

func (l *look) promote() {
	if l.ownCanary() {
		l.setWeight(allParts)
	}
}
