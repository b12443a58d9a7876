package controllers

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

// shipper is a world in which rollouts happen from start to end: Deployments have pods, their canaries have
// endpoints, and the proxies count calls.
type shipper struct {
	*world
	deployment *appsv1.Deployment
	exs        *v1alpha1.ExposedService
	clock      fastClock
	workloads  *shop.Workloads
	counts     *shop.Counts
}

// rolloutPatience is how long a test waits for a whole rollout, which takes five seconds by the clock of a
// shop on an idle machine.
const rolloutPatience = 90 * time.Second

// newShipper starts everything but the operator. Rollouts mostly wait, and do so side by side.
func newShipper(t *testing.T, with ...func(*v1alpha1.ExposedService)) *shipper {
	t.Helper()
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	s := &shipper{world: w, clock: newFastClock(), counts: shop.NewCounts(w.namespace)}
	s.deployment = w.deployment(shop.Primary)
	s.exs = w.exposedService("greeter", append([]func(*v1alpha1.ExposedService){shop.ShipQuickly}, with...)...)
	w.create(s.deployment, shop.Proxies(w.namespace, s.exs.Name))
	s.workloads = shop.StartWorkloads(t, w.kube, w.namespace)
	return s
}

// open starts an operator; with the first one, the ExposedService is made and its Deployment held.
func (s *shipper) open(options ...operatorOption) *operator {
	s.t.Helper()
	o := s.startOperator(append([]operatorOption{inHaste(s.clock), func(config *Config, _ *transport) {
		config.Transport = s.counts
		config.Dial = (&net.Dialer{}).DialContext
	}}, options...)...)
	return o
}

func (s *shipper) expose() {
	s.t.Helper()
	s.create(s.exs)
	s.eventually("the Deployment is held, and what it runs is known", func() error {
		if err := errors.Join(s.read(s.exs), s.read(s.deployment)); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; !s.deployment.Spec.Paused || r == nil || r.Stable == "" {
			return fmt.Errorf("paused: %t, rollout: %+v", s.deployment.Spec.Paused, r)
		}
		return nil
	})
}

// ship changes the image of the Deployment.
func (s *shipper) ship(image string) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

// until waits until the rollout is as a test wants it.
func (s *shipper) until(what string, is func(*v1alpha1.RolloutStatus) bool) {
	s.t.Helper()
	err := poll(s.t.Context(), rolloutPatience, func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; r == nil || !is(r) {
			return fmt.Errorf("the rollout is %+v; there were %v", r, reasonsOf(s.exs))
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func (s *shipper) untilStep(step int32) {
	s.t.Helper()
	s.until(fmt.Sprintf("step %d", step), func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutStepping && r.Step == step
	})
}

// images are what the pods of the Deployment run.
func (s *shipper) images() string {
	return s.running(func(t *corev1.PodTemplateSpec) string { return t.Spec.Containers[0].Image })
}

// configs are with which configuration they were started.
func (s *shipper) configs() string {
	return s.running(func(t *corev1.PodTemplateSpec) string { return t.Annotations[workload.AnnotationConfig] })
}

// running is something of the templates of the pods that the Deployment has.
func (s *shipper) running(what func(*corev1.PodTemplateSpec) string) string {
	s.t.Helper()
	var out []string
	for _, template := range s.workloads.Templates(s.deployment) {
		out = append(out, what(&template))
	}
	return strings.Join(out, ", ")
}

// nothingIsLeft fails the test if something of a canary is.
func (s *shipper) nothingIsLeft() {
	s.t.Helper()
	s.eventually("nothing is left of the canary", func() error {
		meta := metav1.ObjectMeta{Name: shop.Canary, Namespace: s.namespace}
		return errors.Join(gone(s.world, &appsv1.Deployment{ObjectMeta: meta}), gone(s.world, &corev1.Service{ObjectMeta: meta}))
	})
}

func reasonsOf(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, d := range exs.Status.History {
		out = append(out, string(d.Reason))
	}
	return out
}

func has(exs *v1alpha1.ExposedService, reason v1alpha1.DecisionReason) bool {
	for _, d := range exs.Status.History {
		if d.Reason == reason {
			return true
		}
	}
	return false
}
