package xdsfeed

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Clients sums up the reports of all replicas.
func Clients(exs *v1alpha1.ExposedService) (clients, acknowledged, rejecting int32) {
	if exs.Status.XDS == nil {
		return 0, 0, 0
	}
	for _, replica := range exs.Status.XDS.Replicas {
		clients += replica.Clients
		acknowledged += replica.Acknowledged
		rejecting += replica.Rejecting
	}
	return clients, acknowledged, rejecting
}

// IsLive is the gate of a rollout's step: every connected client, of whichever replica, has acknowledged the
// decision that is in the status, and the spec that it was made from. Who has no clients needs not wait.
func IsLive(exs *v1alpha1.ExposedService) bool { return Behind(exs) == "" }

// Behind says who has not acknowledged that yet; empty: nobody.
func Behind(exs *v1alpha1.ExposedService) string {
	if exs.Status.XDS == nil || exs.Status.Traffic == nil {
		return ""
	}
	for _, replica := range exs.Status.XDS.Replicas {
		if replica.Revision != exs.Status.Traffic.Revision || replica.ObservedGeneration != exs.Generation {
			return "the xDS clients of replica " + replica.Name + " have not been asked yet"
		}
	}
	clients, acknowledged, rejecting := Clients(exs)
	switch {
	case rejecting > 0 && acknowledged < clients:
		return fmt.Sprintf("%d of %d xDS clients refuse it, and condition %s says why", rejecting, clients, v1alpha1.ConditionXDSAccepted)
	case acknowledged < clients:
		return fmt.Sprintf("%d of %d xDS clients have acknowledged it", acknowledged, clients)
	}
	return ""
}

// LastRefusal is the newest refusal of those that stand, and the replica whose client it is.
func LastRefusal(exs *v1alpha1.ExposedService) (refusal *v1alpha1.XDSRefusal, replica string) {
	if exs.Status.XDS == nil {
		return nil, ""
	}
	for _, r := range exs.Status.XDS.Replicas {
		if r.Rejecting > 0 && r.Refusal != nil && (refusal == nil || refusal.Time.Before(&r.Refusal.Time)) {
			refusal, replica = r.Refusal, r.Name
		}
	}
	return refusal, replica
}
