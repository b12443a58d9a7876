package kube

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reasons of events that are not reasons of conditions. Every other event has the reason of the
// condition whose change it reports.
const (
	// ReasonDriftCorrected: somebody changed an object of ours, and it was put back.
	ReasonDriftCorrected = "DriftCorrected"
	// ReasonRewritten: the cluster changes an object of ours as it is applied, which is left so.
	ReasonRewritten = "Rewritten"
	// ReasonNotGivenUp: a Deployment may stay paused, because Headgate has no rights to it any more.
	ReasonNotGivenUp = "NotGivenUp"
	// ReasonLeftHeld: a Deployment stays paused, because its pod template was not proved and nobody ships it any more.
	ReasonLeftHeld = "LeftHeld"
	// ReasonRemoved: an object of ours was removed because it is no longer wanted.
	ReasonRemoved = "Removed"
)

// Actions of events: what Headgate was doing.
const (
	ActionApply  = "Apply"
	ActionRemove = "Remove"
	ActionJudge  = "Judge"
	ActionDecide = "Decide"
)

// maxNoteLength is what the API server takes as an event's note, in bytes.
const maxNoteLength = 1024

// Events writes events about ExposedServices.
type Events struct{ Recorder events.EventRecorder }

// Event is one of them.
type Event struct {
	// Type is corev1.EventTypeNormal or corev1.EventTypeWarning.
	Type   string
	Reason string
	Action string
	// Related is another object that it is about, if any. Events that agree in everything but the
	// note are counted as one, so that what tells two of them apart must not be in the note alone.
	Related client.Object
	Note    string
}

// Write writes an event about an ExposedService.
func (w Events) Write(exs *v1alpha1.ExposedService, e Event) {
	e.Note = text.Cut(e.Note, maxNoteLength)
	var related runtime.Object
	if e.Related != nil {
		related = e.Related
	}
	w.Recorder.Eventf(exs, related, e.Type, e.Reason, e.Action, "%s", e.Note)
}
