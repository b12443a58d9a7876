package controllers

import (
	"github.com/headgate/headgate/api/v1alpha1"
)

// xdsClients sums up the reports of all replicas.
func xdsClients(exs *v1alpha1.ExposedService) (clients, acknowledged, rejecting int32) {
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

// xdsLive is the gate of a rollout's step: every connected client, of whichever replica, has acknowledged the
// decision that is in the status, and the spec that it was made from. Who has no clients needs not wait.
func xdsLive(exs *v1alpha1.ExposedService) bool {
	if exs.Status.XDS == nil || exs.Status.Traffic == nil {
		return true
	}
	for _, replica := range exs.Status.XDS.Replicas {
		if replica.Revision != exs.Status.Traffic.Revision || replica.ObservedGeneration != exs.Generation ||
			replica.Acknowledged < replica.Clients {
			return false
		}
	}
	return true
}

// lastRefusal is the newest refusal of those that stand, and the replica whose client it is.
func lastRefusal(exs *v1alpha1.ExposedService) (refusal *v1alpha1.XDSRefusal, replica string) {
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
