package gateway

import "github.com/headgate/headgate/api/v1alpha1"

// What follows resolves the backends for one question. Who has several asks a Resolved.

// Expand is Resolved.Expand.
func Expand(exs *v1alpha1.ExposedService, facts Facts) Expansion { return Resolve(exs, facts).Expand() }

// Count is Resolved.Count.
func Count(exs *v1alpha1.ExposedService, facts Facts) []v1alpha1.BackendStatus {
	return Resolve(exs, facts).Count()
}

// BackendProblems is Resolved.Problems.
func BackendProblems(exs *v1alpha1.ExposedService, facts Facts) []Problem {
	return Resolve(exs, facts).Problems()
}

// Slices is Resolved.Slices.
func Slices(exs *v1alpha1.ExposedService, facts Facts) map[string]BackendSlices {
	return Resolve(exs, facts).Slices()
}

// WeightsArrived is Resolved.WeightsArrived.
func WeightsArrived(exs *v1alpha1.ExposedService, facts Facts) bool {
	return Resolve(exs, facts).WeightsArrived()
}

// ReadyCanary is Resolved.ReadyCanary.
func ReadyCanary(exs *v1alpha1.ExposedService, facts Facts) int32 {
	return Resolve(exs, facts).ReadyCanary()
}
