package workload

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// ReplicaSet is one of a paused Deployment's.
type ReplicaSet struct {
	Name    string
	Created time.Time
	// Unwanted: it runs the pod template that the Deployment has and is not to roll out.
	Unwanted bool
	// Stable: it runs the stable revision.
	Stable bool
	// Replicas is how many pods it is to have; Ready is how many are.
	Replicas, Ready int32
}

// Size is how many pods a ReplicaSet is to have.
type Size struct {
	Name     string
	Replicas int32
}

// Undo takes a paused Deployment out of a rolling update that had begun: it says which of its ReplicaSets are to be scaled next, so
// that in the end none has an unwanted pod. Nothing: it is done, pods have to become ready first, or nothing is left to go back to.
//
// Kubernetes has no such thing but to put the pod template back, which belongs to the user. What it does with the ReplicaSets of a
// paused Deployment (`scale` in pkg/controller/deployment/sync.go) decides how: it scales the only one that has pods to the full
// size; it takes the pods of all others when the newest one is complete; and else it keeps the sum at the size with surge, by adding
// to and taking from the largest. So an unwanted one is scaled to zero as soon as the others can do without it. Before that pods move
// over in portions of maxUnavailable, at least one: the smaller side is given them, and Kubernetes takes them from the other.
func Undo(deployment *appsv1.Deployment, sets []ReplicaSet) []Size {
	size := ptr.Deref(deployment.Spec.Replicas, 1)
	portion := unavailable(deployment, size)
	var bad, good *ReplicaSet
	var goodSize, goodReady int32
	for i := range sets {
		set := &sets[i]
		switch {
		case set.Unwanted:
			if set.Replicas > 0 {
				bad = set
			}
			continue
		case set.Replicas > 0:
			goodSize, goodReady = goodSize+set.Replicas, goodReady+set.Ready
		case !set.Stable:
			continue
		}
		if good == nil || larger(*set, *good) {
			good = set
		}
	}
	switch {
	case bad == nil || good == nil || size <= 0:
		return nil
	case goodReady >= max(1, size-portion):
		return []Size{{bad.Name, 0}}
	case bad.Replicas >= size && bad.Ready >= size:
		return nil // It is complete: whatever the others get Kubernetes takes from them.
	case goodReady < goodSize:
		return nil
	}
	portion = max(1, portion)
	switch {
	case deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType, good.Replicas == 0 && bad.Replicas <= portion:
		return []Size{{good.Name, size}, {bad.Name, 0}}
	case good.Replicas+portion < bad.Replicas:
		return []Size{{good.Name, good.Replicas + portion}}
	}
	// Only to what is larger than the other is added.
	return []Size{{bad.Name, max(0, bad.Replicas-max(portion, bad.Replicas-good.Replicas+1))}}
}

// larger: one that has pods before one that has none, the newest if they are alike.
func larger(a, b ReplicaSet) bool {
	if a.Replicas != b.Replicas {
		return a.Replicas > b.Replicas
	}
	return a.Created.After(b.Created)
}

// unavailable is how many pods may be missing, as Kubernetes counts it; 0 with the strategy Recreate, which has no such bound.
func unavailable(deployment *appsv1.Deployment, size int32) int32 {
	if deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return 0
	}
	rolling := ptr.Deref(deployment.Spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
	most := ptr.Deref(rolling.MaxUnavailable, intstr.FromString("25%"))
	n, err := intstr.GetScaledValueFromIntOrPercent(&most, int(size), false)
	if err != nil {
		return 0
	}
	return min(max(int32(n), 0), size) //nolint:gosec // a number of pods
}
