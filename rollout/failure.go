package rollout

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// failure is why a revision cannot be shipped.
type failure struct {
	// reason is one word for programs.
	reason string
	// message has the numbers, or the pod's own words.
	message string
}

// Reasons of a failed revision, beside the kinds of trouble.
const (
	// FailureWorse: the evidence says that the canary is worse than is tolerated.
	FailureWorse = "Worse"
	// FailureSuspected: the canary was suspected again and again.
	FailureSuspected = "Suspected"
	// FailureAborted: somebody has set the annotation headgate.dev/abort.
	FailureAborted = "Aborted"
	// FailureUndecided: the evidence does not suffice within maxHold, and whenUndecided is RollBack.
	FailureUndecided = "Undecided"
)

// failures are the reasons to roll back, none of which needs anything but itself. The first that applies is taken.
var failures = []func(*look) *failure{abortedBySomebody, worse, suspectedTooOften, inTrouble, undecidedForTooLong}

func (l *look) failure() *failure {
	for _, check := range failures {
		if f := check(l); f != nil {
			return f
		}
	}
	return nil
}

func worse(l *look) *failure {
	if l.status.Evidence == nil || l.judged.Decision != judge.RollBack {
		return nil
	}
	return &failure{FailureWorse, "worse than is tolerated: " + l.numbers()}
}

// suspectedTooOften: it is not sure that the canary is worse, and it is that it would never get anywhere.
func suspectedTooOften(l *look) *failure {
	if _, again := suspected(l); !again || l.status.Suspicions < mostSuspicions-1 {
		return nil
	}
	return &failure{FailureSuspected, fmt.Sprintf("suspected for the %d. time: %s", l.status.Suspicions+1, l.numbers())}
}

// inTrouble: pods of this revision cannot run. Those of another one, which the canary may still have, say nothing.
func inTrouble(l *look) *failure {
	c := l.seen.Canary
	if !c.Known || !c.Found || c.Trouble == nil || c.Revision != l.status.Revision {
		return nil
	}
	return &failure{string(c.Trouble.Kind), "its pods cannot run: " + c.Trouble.Words}
}

// aborted: somebody does not want the revision.
func (l *look) aborted() bool { return l.seen.Abort != "" && l.seen.Abort == l.desired }

func abortedBySomebody(l *look) *failure {
	if l.seen.Abort == "" || l.seen.Abort != l.status.Revision {
		return nil
	}
	return &failure{FailureAborted, "the annotation " + v1alpha1.AnnotationAbort + " was set" + l.by(v1alpha1.AnnotationAbort)}
}

func undecidedForTooLong(l *look) *failure {
	if l.settings.whenUndecided != v1alpha1.UndecidedRollBack || l.status.Evidence == nil || !l.undecided() {
		return nil
	}
	return &failure{FailureUndecided, fmt.Sprintf("undecided after %s, and whenUndecided is RollBack: %s", l.settings.maxHold, l.numbers())}
}
