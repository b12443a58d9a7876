package failover

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/condition"
	"github.com/headgate/headgate/internal/text"
)

// Condition is a condition without the time and the generation, which whoever writes it adds.
type Condition = condition.Condition

func backendsHealthy(l *look, backends []v1alpha1.BackendStatus) Condition {
	var down, notSeen []string
	anyUp := false
	for i, b := range backends {
		anyUp = anyUp || l.backends[i].up()
		switch b.Health {
		case v1alpha1.BackendDown:
			down = append(down, b.Name+": "+b.Message)
		case v1alpha1.BackendUnknown:
			notSeen = append(notSeen, b.Name+": "+b.Message)
		}
	}
	out := Condition{Type: v1alpha1.ConditionBackendsHealthy, Status: metav1.ConditionFalse, Message: text.Join(append(down, notSeen...)...)}
	switch {
	case !anyUp && len(down) > 0:
		out.Reason = v1alpha1.ReasonNoBackendUp
	case len(down) > 0:
		out.Reason = v1alpha1.ReasonBackendDown
	case len(notSeen) > 0:
		out.Status, out.Reason = metav1.ConditionUnknown, v1alpha1.ReasonBackendNotSeen
	default:
		out.Status, out.Reason, out.Message = metav1.ConditionTrue, v1alpha1.ReasonAllBackendsUp, "every backend is up"
	}
	return out
}

func failedOver(l *look, p plan, backends []v1alpha1.BackendStatus) Condition {
	preferred, active, kept := backends[0], backends[p.active], l.keptBack(p)
	out := Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionTrue}
	switch {
	case p.active == 0 && p.ramp == nil && p.due == "":
		out.Status, out.Reason = metav1.ConditionFalse, v1alpha1.ReasonPreferredServes
		out.Message = preferred.Name + " serves" + kept
	case p.due != "":
		out.Status = status(p.active != 0)
		out.Reason = v1alpha1.ReasonSwitchHeld
		out.Message = fmt.Sprintf("%s serves; a switch to %s is due, but there were %d in the last hour and maxSwitchesPerHour is %d",
			active.Name, p.due, len(l.switches), l.settings.maxSwitches)
	case p.ramp.isTrial():
		out.Status, out.Reason = status(p.active != 0), v1alpha1.ReasonTryingBackup
		out.Message = fmt.Sprintf("%s serves and fails its calls; %s is tried with %d %% of them since %s",
			active.Name, l.name(p.ramp.to), p.ramp.percent, clock(p.ramp.since))
	case p.ramp != nil:
		out.Reason = v1alpha1.ReasonHandingBack
		out.Message = fmt.Sprintf("%s has %d %% of the calls since %s, %s the rest",
			l.name(p.ramp.to), p.ramp.percent, clock(p.ramp.since), active.Name)
	case p.active == l.pin:
		out.Reason = v1alpha1.ReasonPinned
		out.Message = fmt.Sprintf("pinned to %s", active.Name)
	case !l.backends[p.active].up() && kept == "":
		out.Reason = v1alpha1.ReasonNoBackendUp
		out.Message = fmt.Sprintf("no backend is up, and %s serves", active.Name)
	default:
		out.Reason = v1alpha1.ReasonBackupServes
		out.Message = fmt.Sprintf("%s serves; %s: %s", active.Name, preferred.Name, orUp(preferred.Message)+kept)
	}
	return out
}

func status(yes bool) metav1.ConditionStatus {
	if yes {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func orUp(message string) string {
	if message == "" {
		return "it is up"
	}
	return message
}
