package controllers

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// play is a rollout of the Deployment primary-svc from app:1 to app:2, whose first canary has the address shop.CanaryAddress.
type play struct {
	*shipper
}

// startPlay starts an operator and has it hold the Deployment, with this analysis and steps that hold for a second. Its clock is fast: a
// step takes 16 seconds of counted calls at least, and a canary that is worse is rolled back after a minute or two.
func startPlay(t *testing.T, analysis v1alpha1.Analysis, options ...operatorOption) *play {
	t.Helper()
	s := newShipper(t, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: shop.Primary}, Analysis: &analysis}
		for _, weight := range []int{10, 50} {
			exs.Spec.Rollout.Steps = append(exs.Spec.Rollout.Steps, v1alpha1.RolloutStep{
				Weight: intstr.FromInt(weight), Hold: ptr.To(v1alpha1.LongDuration("1s")),
			})
		}
	})
	p := &play{s}
	// Nothing is counted but what the analysis asks for.
	p.startOperator(append([]operatorOption{inHaste(p.clock)}, options...)...)
	p.expose()
	return p
}

// ship asks for the new version. Of two pods one is the canary's, until the new version is promoted.
func (p *play) ship() {
	p.t.Helper()
	edit(p.world, p.deployment, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Image = "app:2"
		d.Spec.Template.Annotations = map[string]string{shop.AnnotationAddress: shop.CanaryAddress}
	})
}

// untilIs waits until the rollout's status is as it is to be.
func (p *play) untilIs(what string, is func(v1alpha1.RolloutStatus) bool) {
	p.t.Helper()
	p.shipper.until(what, func(r *v1alpha1.RolloutStatus) bool { return is(*r) })
}
