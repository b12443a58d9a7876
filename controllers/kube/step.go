package kube

import (
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

const (
	// ConflictRetry is how soon a run is repeated that lost a race for an object.
	ConflictRetry = 100 * time.Millisecond
	// RefusalRetry is how soon at the latest an object is offered again that the API server has refused: what made
	// it refuse (an admission rule, a quota) is nothing that Headgate watches.
	RefusalRetry = time.Minute
)

// Step is what one step of a run has come to. Steps are merged; nothing else is shared between them.
type Step struct {
	// Problems are what a user has to settle.
	Problems []gateway.Problem
	// Notes are what everything works in spite of.
	Notes []Note
	// Kept names objects that are to be left as they are.
	Kept []gateway.Ref
	// Failures are objects that could not be applied.
	Failures []gateway.Failure
	// WaitsFor are names that are taken: when they become free, another run is due.
	WaitsFor []gateway.Ref
	// Errs are errors of the system that did not end the run; they make it run again.
	Errs []error
	// Again is when to run again although nothing has changed; 0: never.
	Again time.Duration
	// Refusal: something was refused that is to be offered again, at the latest when Again says.
	Refusal bool
	// Conflicted: an object was changed under our hands; the run is repeated soon, quietly.
	Conflicted bool
}

// Note is what people should know of the condition Accepted while it is True.
type Note struct {
	Reason  v1alpha1.Reason
	Message string
}

// Fail notes an error after which the run goes on. A lost race is no error: it is run again.
func (s *Step) Fail(err error) {
	switch {
	case err == nil:
	case IsConflict(err):
		s.Conflicted = true
	default:
		s.Errs = append(s.Errs, err)
	}
}

// RunAgain asks for another run after d, or sooner if that was asked for; 0 asks for none.
func (s *Step) RunAgain(d time.Duration) {
	if d > 0 && (s.Again == 0 || d < s.Again) {
		s.Again = d
	}
}

// Merge takes in what another step has come to.
func (s *Step) Merge(other Step) {
	s.Problems = append(s.Problems, other.Problems...)
	s.Notes = append(s.Notes, other.Notes...)
	s.Kept = append(s.Kept, other.Kept...)
	s.Failures = append(s.Failures, other.Failures...)
	s.WaitsFor = append(s.WaitsFor, other.WaitsFor...)
	s.Errs = append(s.Errs, other.Errs...)
	s.Refusal = s.Refusal || other.Refusal
	s.Conflicted = s.Conflicted || other.Conflicted
	s.RunAgain(other.Again)
}

// Went says whether everything was done that the step was for.
func (s *Step) Went() bool { return len(s.Failures) == 0 && len(s.Errs) == 0 && !s.Conflicted }

// Refused notes that the API server did not take an object, and what it is for. A refusal of the content is the user's to settle,
// everything else is tried again.
func (s *Step) Refused(part gateway.Part, object gateway.Object, err error) {
	name := fmt.Sprintf("%s %s/%s", object.GetObjectKind().GroupVersionKind().Kind, object.GetNamespace(), object.GetName())
	switch {
	case IsConflict(err):
		s.Conflicted = true
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		s.Failures = append(s.Failures, gateway.Failure{Part: part, Final: true, Message: fmt.Sprintf(
			"%s is refused by the API server: %v; correct the field of the spec, or the override, that it comes from", name, err)})
		s.offerAgain()
	case apierrors.IsForbidden(err):
		s.Forbidden(part, fmt.Sprintf("%s cannot be applied", name), err)
	default:
		s.Failures = append(s.Failures, gateway.Failure{Part: part, Message: fmt.Sprintf("%s cannot be applied: %v; it is tried again", name, err)})
		s.Errs = append(s.Errs, fmt.Errorf("apply %s: %w", name, err))
	}
}

// Forbidden notes that the API server does not let Headgate do something, and what it is for: a right is missing, a quota is used up, an
// admission rule says no. That is for people to settle, and nothing that Headgate watches tells of it: it is tried
// again seldom.
func (s *Step) Forbidden(part gateway.Part, what string, err error) {
	s.Failures = append(s.Failures, gateway.Failure{Part: part, Final: true, Message: fmt.Sprintf(
		"%s, because the API server forbids it: %v; it is tried again within a minute", what, err)})
	s.offerAgain()
}

func (s *Step) offerAgain() {
	s.Refusal = true
	s.RunAgain(RefusalRetry)
}
