package hedging

import (
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// MayRunTwice says whether calls may, by spec.traffic, which may be nil.
func MayRunTwice(spec *v1alpha1.Traffic) bool {
	return spec != nil && spec.Retry != nil && ptr.Deref(spec.Retry.Idempotent, false)
}

// ByLatency says whether the delay is to follow how long calls take: they may run twice, and nobody has chosen one.
func ByLatency(spec *v1alpha1.Traffic) bool {
	return MayRunTwice(spec) && spec.Retry.PerTryTimeout == nil
}
