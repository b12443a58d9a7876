package rollout

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

const (
	// mostHistory is how many decisions the status keeps.
	mostHistory = 20
	// mostMessage is how long the message of a decision may be.
	mostMessage = 512
)

func (l *look) decision(taken *transition, why string, traffic *v1alpha1.TrafficStatus) v1alpha1.Decision {
	out := v1alpha1.Decision{Time: *micro(l.now), Reason: taken.name, Message: text.Cut(why, mostMessage)}
	if traffic != nil {
		out.Revision = traffic.Revision
	}
	return out
}

func remember(history, decisions []v1alpha1.Decision) []v1alpha1.Decision {
	out := append(slices.Clone(history), decisions...)
	return out[max(0, len(out)-mostHistory):]
}
