package controllers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

// shipper is a world in which rollouts happen from start to end: Kubernetes' own controllers make pods and endpoints, and the
// proxies count calls.
type shipper struct {
	*world
	deployment *appsv1.Deployment
	exs        *v1alpha1.ExposedService
	clock      fastClock
	workloads  *shop.Workloads
	counts     *shop.Counts
	// policy: the admission policy holds changed pod templates, so that the Deployment is not paused at rest.
	policy bool
}

// rolloutPatience is how long a test waits for a whole rollout, which takes five seconds by the clock of a
// shop on an idle machine.
const rolloutPatience = 90 * time.Second

// newShipper starts everything but the operator, and has the admission policy in force. Rollouts mostly wait, and do so side by side.
func newShipper(t *testing.T, with ...func(*v1alpha1.ExposedService)) *shipper {
	t.Helper()
	s := newShipperWithoutPolicy(t, with...)
	s.holdTemplates()
	return s
}

// holdTemplates puts the admission policy into force.
func (s *shipper) holdTemplates() {
	s.t.Helper()
	apiserver.HoldTemplates(s.t, s.kube, s.namespace)
	s.policy = true
}

func newShipperWithoutPolicy(t *testing.T, with ...func(*v1alpha1.ExposedService)) *shipper {
	t.Helper()
	t.Parallel()
	w := newWorld(t).withDataPlane()
	s := &shipper{world: w, clock: newFastClock(), workloads: w.withPods()}
	s.counts = shop.NewCounts(s.workloads)
	s.deployment = w.deployment(shop.Primary)
	s.exs = w.exposedService("greeter", append([]func(*v1alpha1.ExposedService){shop.ShipQuickly, failBackQuickly}, with...)...)
	w.create(s.deployment, shop.Proxies(w.namespace, s.exs.Name))
	return s
}

// failBackQuickly spares tests that scale to zero a minute: controller-runtime, which is asked to run again, has no clock of theirs.
func failBackQuickly(exs *v1alpha1.ExposedService) {
	exs.Spec.Failover = &v1alpha1.Failover{Recovery: &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("5s")), Ramp: []int32{100}}}
}

// inBothModes runs a test with the admission policy, and without it: one of both in the short run, the other one in `make test-long`.
func inBothModes(t *testing.T, test func(*shipper), with ...func(*v1alpha1.ExposedService)) {
	t.Helper()
	inModes(t, func(mode int) bool { return runs(mode == share(t, 2)) }, test, with...)
}

// inModes has those modes, 0 and 1, that are asked for.
func inModes(t *testing.T, asked func(mode int) bool, test func(*shipper), with ...func(*v1alpha1.ExposedService)) {
	t.Helper()
	t.Parallel()
	if asked(0) {
		t.Run("held by the policy", func(t *testing.T) { test(newShipper(t, with...)) })
	}
	if asked(1) {
		t.Run("paused at rest", func(t *testing.T) { test(newShipperWithoutPolicy(t, with...)) })
	}
}

// runs says whether one of several cases of a test runs now: all do, in the short run the one that is chosen for it, and with
// HEADGATE_TESTS=rest those that the short run leaves out.
func runs(short bool) bool {
	if os.Getenv("HEADGATE_TESTS") == "rest" {
		return !short
	}
	return short || !testing.Short()
}

// share is which of so many cases a test has in the short run: always the same one, and tests beside each other have different ones.
func share(t *testing.T, cases int) int {
	sum := 0
	for _, b := range []byte(t.Name()) {
		sum += int(b)
	}
	return sum % cases
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
	s.untilAtRest()
}

// untilAtRest waits until what the Deployment runs is known, and another pod template would be held.
func (s *shipper) untilAtRest() {
	s.t.Helper()
	s.eventually("the Deployment is at rest, and what it runs is known", s.atRest)
}

// atRest is nil when what the Deployment runs is known, and another pod template would be held: by the policy, or because it is paused.
func (s *shipper) atRest() error {
	if err := errors.Join(s.read(s.exs), s.read(s.deployment)); err != nil {
		return err
	}
	d, r := s.deployment, s.exs.Status.Rollout
	if d.Spec.Paused == s.policy || d.Labels[v1alpha1.LabelRollout] != s.exs.Name || r == nil || r.Stable == "" || r.Phase != v1alpha1.RolloutIdle {
		return fmt.Errorf("paused: %t, labels %v, rollout: %+v; there were %v", d.Spec.Paused, d.Labels, r, reasonsOf(s.exs))
	}
	return nil
}

// ship changes the image of the Deployment.
func (s *shipper) ship(image string) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

func (s *shipper) scale(replicas int32) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Replicas = &replicas })
}

// until waits until the rollout is as a test wants it.
func (s *shipper) until(what string, is func(*v1alpha1.RolloutStatus) bool) {
	s.t.Helper()
	err := apiserver.Poll(s.t.Context(), rolloutPatience, func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; r == nil || !is(r) {
			return fmt.Errorf("the rollout is %+v; there were %v", r, reasonsOf(s.exs))
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, s.sets())
	}
}

func (s *shipper) untilStep(step int32) {
	s.t.Helper()
	s.until(fmt.Sprintf("step %d", step), func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutStepping && r.Step == step
	})
}

func (s *shipper) untilPhase(phase v1alpha1.RolloutPhase) {
	s.t.Helper()
	s.until(string(phase), func(r *v1alpha1.RolloutStatus) bool { return r.Phase == phase })
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

// sets says what the ReplicaSets of the Deployment are, for people.
func (s *shipper) sets() string {
	var out strings.Builder
	for _, set := range s.workloads.ReplicaSets(s.deployment) {
		owner := ""
		if o := metav1.GetControllerOf(&set); o != nil {
			owner = o.Kind
		}
		fmt.Fprintf(&out, "%s of %s (%s, canary of %q): wants %d, has %d, %d ready\n", set.Name, owner, set.Spec.Template.Spec.Containers[0].Image,
			set.Annotations[workload.AnnotationCanaryOf], *set.Spec.Replicas, set.Status.Replicas, set.Status.ReadyReplicas)
	}
	return out.String()
}

// pods says how many pods each image is to have, as in "app:1 3, app:2 1", and whether they are the Deployment's.
func (s *shipper) pods() (wanted string, ready bool) {
	s.t.Helper()
	counts := map[string]int{}
	ready = true
	for _, set := range s.workloads.ReplicaSets(s.deployment) {
		counts[set.Spec.Template.Spec.Containers[0].Image] += int(*set.Spec.Replicas)
		ready = ready && set.Status.ObservedGeneration == set.Generation && set.Status.ReadyReplicas == *set.Spec.Replicas && set.Status.Replicas == *set.Spec.Replicas
	}
	return shop.Images(counts), ready
}

// untilPods waits until so many pods of each image are ready, as in "app:1 3, app:2 1".
func (s *shipper) untilPods(want string) {
	s.t.Helper()
	s.eventually("there are the pods "+want, func() error {
		if got, ready := s.pods(); got != want || !ready {
			return fmt.Errorf("there are %s, ready %t; %v\n%s", got, ready, reasonsOf(s.exs), s.sets())
		}
		return nil
	})
}

// canary is the ReplicaSet that Headgate has made; nil: there is none.
func (s *shipper) canary() *appsv1.ReplicaSet { return s.setWith(workload.AnnotationCanaryOf) }

// standIn is what stands in for the canary, if it is there.
func (s *shipper) standIn() *appsv1.ReplicaSet { return s.setWith(workload.AnnotationStandInOf) }

func (s *shipper) setWith(annotation string) *appsv1.ReplicaSet {
	s.t.Helper()
	for _, set := range s.workloads.ReplicaSets(s.deployment) {
		if set.Annotations[annotation] == s.exs.Name {
			return &set
		}
	}
	return nil
}

// slotService is the Service of a slot, if it is there.
func (s *shipper) slotService(slot v1alpha1.Slot) (*corev1.Service, error) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: gateway.SlotServiceName(s.exs, slot), Namespace: s.namespace}}
	return service, s.read(service)
}

// nothingIsLeft fails the test if something of a canary is.
func (s *shipper) nothingIsLeft() {
	s.t.Helper()
	s.eventually("nothing is left of the canary", s.nothingLeft)
}

// nothingLeft is nil when no ReplicaSet is a canary, no Service selects by a hash, and what the version before had is gone.
func (s *shipper) nothingLeft() error {
	if err := s.read(s.exs); err != nil {
		return err
	}
	for _, set := range s.workloads.ReplicaSets(s.deployment) {
		if set.Annotations[workload.AnnotationCanaryOf] != "" || set.Annotations[workload.AnnotationStandInOf] != "" || workload.IsMarked(&set) {
			return fmt.Errorf("ReplicaSet %s is there\n%s", set.Name, s.sets())
		}
	}
	if t := ptr.Deref(s.exs.Status.Traffic, v1alpha1.TrafficStatus{}); t.StableHash != "" || t.CanaryHash != "" {
		return fmt.Errorf("hashes are %q, %q; there were %v", t.StableHash, t.CanaryHash, reasonsOf(s.exs))
	}
	var services corev1.ServiceList
	var copies appsv1.ControllerRevisionList
	in := client.InNamespace(s.namespace)
	if err := errors.Join(s.kube.List(s.t.Context(), &services, in), s.kube.List(s.t.Context(), &copies, in)); err != nil {
		return err
	}
	for _, service := range services.Items {
		if service.Spec.Selector[workload.LabelTemplateHash] != "" {
			return fmt.Errorf("Service %s selects %v", service.Name, service.Spec.Selector)
		}
	}
	// Of what is still held stable may have to be made again.
	if n := len(copies.Items); n > 0 && (s.exs.Status.Rollout == nil || s.exs.Status.Rollout.Failed == nil) {
		return fmt.Errorf("%d ControllerRevisions are left", n)
	}
	meta := metav1.ObjectMeta{Name: shop.Canary, Namespace: s.namespace}
	slot := metav1.ObjectMeta{Name: s.exs.Name + "-canary-gw", Namespace: s.namespace}
	return errors.Join(gone(s.world, &appsv1.Deployment{ObjectMeta: meta}), gone(s.world, &corev1.Service{ObjectMeta: meta}),
		gone(s.world, &corev1.Service{ObjectMeta: slot}))
}

// promoted: the Deployment runs what was shipped, is at rest again, and nothing is left of the canary.
func (s *shipper) promoted(image string) {
	s.t.Helper()
	s.until(image+" is stable", func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutIdle && r.Stable == r.Revision && r.Failed == nil
	})
	s.nothingIsLeft()
	s.runs(image)
}

// runs: the Deployment is at rest with pods of one image.
func (s *shipper) runs(image string) {
	s.t.Helper()
	s.eventually("the Deployment is at rest and runs "+image, func() error {
		if err := s.atRest(); err != nil {
			return err
		}
		if got := s.images(); got != image {
			return fmt.Errorf("pods of %s", got)
		}
		return nil
	})
}

func reasonsOf(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, d := range exs.Status.History {
		out = append(out, string(d.Reason))
	}
	return out
}

// messagesOf are the decisions with their times and words.
func messagesOf(exs *v1alpha1.ExposedService) string {
	var out strings.Builder
	for _, d := range exs.Status.History {
		fmt.Fprintf(&out, "\n%s %s: %s", d.Time.Format("15:04:05.0"), d.Reason, d.Message)
	}
	return out.String()
}

func has(exs *v1alpha1.ExposedService, reason v1alpha1.DecisionReason) bool {
	return slices.ContainsFunc(exs.Status.History, func(d v1alpha1.Decision) bool { return d.Reason == reason })
}
