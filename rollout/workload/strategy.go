package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Rolls says whether a Deployment replaces its pods by and by. With Recreate two versions of it never run beside each other, so that there
// is no canary.
func Rolls(d *appsv1.Deployment) bool {
	return d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType
}

// Bounds are how many more pods than it is to have a rolling update of the Deployment may start, and how many may be missing in one. They
// are counted as Kubernetes does (ResolveFenceposts in pkg/controller/deployment/util): one of both is above zero.
func Bounds(d *appsv1.Deployment) (surge, unavailable int32) {
	rolling := ptr.Deref(d.Spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
	size := int(ptr.Deref(d.Spec.Replicas, 1))
	surge, unavailable = scaled(rolling.MaxSurge, size, true), scaled(rolling.MaxUnavailable, size, false)
	if surge == 0 && unavailable == 0 {
		return 0, 1
	}
	return surge, unavailable
}

// scaled is a number, or a share of the size; a quarter is what the API server takes for nothing.
func scaled(of *intstr.IntOrString, size int, up bool) int32 {
	have := ptr.Deref(of, intstr.FromString("25%"))
	n, err := intstr.GetScaledValueFromIntOrPercent(&have, size, up)
	if err != nil {
		return 0 // The API server admits none that cannot be read.
	}
	return int32(max(n, 0)) //nolint:gosec // a number of pods
}
