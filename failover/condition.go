package failover

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Reasons of BackendsHealthy.
const (
	// ReasonAllUp: every backend is up.
	ReasonAllUp v1alpha1.Reason = "AllBackendsUp"
	// ReasonBackendDown: a backend is down, and another is up.
	ReasonBackendDown v1alpha1.Reason = "BackendDown"
	// ReasonNoBackendUp: no backend is up, and calls go where most endpoints are left. Of FailedOver as well.
	ReasonNoBackendUp v1alpha1.Reason = "NoBackendUp"
	// ReasonNotSeen: no backend is known to be down, but nothing new is known of some.
	ReasonNotSeen v1alpha1.Reason = "BackendNotSeen"
)

// Reasons of FailedOver.
const (
	// ReasonPreferredServes: the first backend serves.
	ReasonPreferredServes v1alpha1.Reason = "PreferredServes"
	// ReasonBackupServes: a backend that was up took over.
	ReasonBackupServes v1alpha1.Reason = "BackupServes"
	// ReasonHandingBack: a preferred backend is on its ramp.
	ReasonHandingBack v1alpha1.Reason = "HandingBack"
	// ReasonTryingBackup: the serving backend fails its calls, and another is tried.
	ReasonTryingBackup v1alpha1.Reason = "TryingBackup"
	// ReasonSwitchHeld: a switch is due that maxSwitchesPerHour does not allow.
	ReasonSwitchHeld v1alpha1.Reason = "SwitchHeld"
	// ReasonPinned: somebody has pinned another backend than the preferred one.
	ReasonPinned v1alpha1.Reason = "Pinned"
)

// Condition is a condition without the time and the generation, which whoever writes it adds.
type Condition struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  v1alpha1.Reason
	Message string
}

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
	message := strings.Join(append(down, notSeen...), "; ")
	switch {
	case !anyUp && len(down) > 0:
		return Condition{v1alpha1.ConditionBackendsHealthy, metav1.ConditionFalse, ReasonNoBackendUp, message}
	case len(down) > 0:
		return Condition{v1alpha1.ConditionBackendsHealthy, metav1.ConditionFalse, ReasonBackendDown, message}
	case len(notSeen) > 0:
		return Condition{v1alpha1.ConditionBackendsHealthy, metav1.ConditionUnknown, ReasonNotSeen, message}
	}
	return Condition{v1alpha1.ConditionBackendsHealthy, metav1.ConditionTrue, ReasonAllUp, "every backend is up"}
}

func failedOver(l *look, p plan, backends []v1alpha1.BackendStatus) Condition {
	preferred, active := backends[0], backends[p.active]
	out := Condition{Type: v1alpha1.ConditionFailedOver, Status: metav1.ConditionTrue}
	switch {
	case p.active == 0 && p.ramp == nil && p.due == "":
		out.Status, out.Reason = metav1.ConditionFalse, ReasonPreferredServes
		out.Message = preferred.Name + " serves"
	case p.due != "":
		out.Status = status(p.active != 0)
		out.Reason = ReasonSwitchHeld
		out.Message = fmt.Sprintf("%s serves; a switch to %s is due, but there were %d in the last hour and maxSwitchesPerHour is %d",
			active.Name, p.due, len(l.switches), l.settings.maxSwitches)
	case p.ramp.isTrial():
		out.Status, out.Reason = status(p.active != 0), ReasonTryingBackup
		out.Message = fmt.Sprintf("%s serves and fails its calls; %s is tried with %d %% of them since %s",
			active.Name, l.name(p.ramp.to), p.ramp.percent, clock(p.ramp.since))
	case p.ramp != nil:
		out.Reason = ReasonHandingBack
		out.Message = fmt.Sprintf("%s has %d %% of the calls since %s, %s the rest",
			l.name(p.ramp.to), p.ramp.percent, clock(p.ramp.since), active.Name)
	case p.active == l.pin:
		out.Reason = ReasonPinned
		out.Message = fmt.Sprintf("pinned to %s", active.Name)
	case !l.backends[p.active].up():
		out.Reason = ReasonNoBackendUp
		out.Message = fmt.Sprintf("no backend is up, and %s serves", active.Name)
	default:
		out.Reason = ReasonBackupServes
		out.Message = fmt.Sprintf("%s serves; %s: %s", active.Name, preferred.Name, orUp(preferred.Message))
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
