package rollout

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Gather gives the canary's weight back to the first backend. That is what failover decides about: to it the first backend is one
// thing, whatever versions run in it.
func Gather(traffic *v1alpha1.TrafficStatus) *v1alpha1.TrafficStatus {
	if traffic == nil {
		return nil
	}
	at := slices.IndexFunc(traffic.Weights, isCanary)
	if at < 1 {
		return traffic
	}
	out := traffic.DeepCopy()
	out.Weights[at-1].Weight += out.Weights[at].Weight
	out.Weights = slices.Delete(out.Weights, at, at+1)
	return out
}

func isCanary(w v1alpha1.BackendWeight) bool { return w.Name == v1alpha1.CanaryName }

// spread gives the canary its share of the first backend's weight. The two add up to what the first backend had.
func spread(gathered *v1alpha1.TrafficStatus, share int32) *v1alpha1.TrafficStatus {
	out := gathered.DeepCopy()
	canary := portion(out.Weights[0].Weight, share)
	out.Weights[0].Weight -= canary
	out.Weights = slices.Insert(out.Weights, 1, v1alpha1.BackendWeight{Name: v1alpha1.CanaryName, Weight: canary})
	return out
}

// portion is a share of a weight, both in parts of 1,000,000, to the nearest part. A backend that is only a net, with one part, has
// nothing to share.
func portion(weight, share int32) int32 {
	if weight <= 1 {
		return 0
	}
	return int32((int64(weight)*int64(share) + allParts/2) / allParts) //nolint:gosec // at most weight
}
