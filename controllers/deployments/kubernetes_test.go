package deployments

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

const secondImage = "app:2"

// ship is a Deployment of shop.FirstImage whose pods Kubernetes' own controllers make, and a follower that is told what to make true of it.
type ship struct {
	*testing.T
	*shop.Workloads
	*Follower
	kube client.Client
	exs  *v1alpha1.ExposedService
	d    *appsv1.Deployment
	// stable and next are revisions, and the hashes of their pods.
	stable, next         string
	stableHash, nextHash string
	// most is how many pods the second image has been given at most.
	most int32
}

// newShip has so many pods of the first image, is held, and has the second image in its pod template.
func newShip(t *testing.T, replicas int32, with ...func(*appsv1.Deployment)) *ship {
	t.Helper()
	t.Parallel()
	server := apiserver.Client(t)
	namespace := apiserver.Namespace(t, server)
	s := &ship{T: t, Workloads: shop.StartWorkloads(t, server, namespace), kube: server, exs: shop.ExposedService(namespace, shop.Name, "class")}
	shop.ShipQuickly(s.exs)
	s.create(s.exs)
	s.exs.Status.Traffic = &v1alpha1.TrafficStatus{}
	s.Follower = &Follower{
		Objects:   kube.Objects{Client: server, Reader: server, Kinds: kube.NewServedKinds(nil), Events: kube.Events{Recorder: events.NewFakeRecorder(100)}},
		Inspector: NewInspector(server, server, clock.RealClock{}, &queue.WakeUps{}),
	}
	t.Cleanup(s.Inspector.queue.ShutDown)
	s.d = shop.Deployment(namespace, shop.Primary)
	s.d.Spec.Replicas = &replicas
	for _, f := range with {
		f(s.d)
	}
	s.create(s.d)
	s.eventually("its first pods", func() error { return s.has(replicas, 0) })
	s.stable, s.stableHash = s.revision(), workload.HashOf(&s.ReplicaSets(s.d)[0])
	s.exs.Status.Rollout = &v1alpha1.RolloutStatus{Target: "Deployment/" + s.d.Name, Stable: s.stable, Phase: v1alpha1.RolloutStepping}
	s.follow(rollout.Intents{Workload: rollout.WorkloadHeld})
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Template.Spec.Containers[0].Image = secondImage })
	s.next = s.revision()
	s.nextHash, s.exs.Status.Rollout.Revision = s.next, s.next
	return s
}

func (s *ship) create(object client.Object) {
	s.Helper()
	if err := s.kube.Create(s.Context(), object); err != nil {
		s.Fatal(err)
	}
}

func (s *ship) edit(f func(*appsv1.DeploymentSpec)) {
	s.Helper()
	s.eventually("an edit", func() error {
		s.get()
		f(&s.d.Spec)
		return s.kube.Update(s.Context(), s.d)
	})
}

func (s *ship) get() {
	s.Helper()
	if err := s.kube.Get(s.Context(), client.ObjectKeyFromObject(s.d), s.d); err != nil {
		s.Fatal(err)
	}
}

func (s *ship) revision() string {
	s.Helper()
	out, err := workload.Revision(&s.d.Spec.Template, "")
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// canary is what to make true of a canary with so many pods.
func (s *ship) canary(replicas int32) rollout.Intents {
	return rollout.Intents{Workload: rollout.WorkloadHeld, Revision: s.next, Canary: rollout.CanaryIntent{
		Present: true, Revision: s.next, Hash: s.nextHash, Replicas: replicas, StableHash: s.stableHash, Apart: *s.d.Spec.Replicas == 1,
	}}
}

// absent is what to make true when there is to be no canary.
func (s *ship) absent() rollout.Intents {
	return rollout.Intents{Workload: rollout.WorkloadHeld, Canary: rollout.CanaryIntent{StableHash: s.stableHash}}
}

// follow is one run of the follower. A race that is lost is run again.
func (s *ship) follow(intents rollout.Intents) {
	s.Helper()
	s.get()
	d := s.d.DeepCopy()
	if _, err := KeepPausers(d); err != nil {
		s.Fatal(err)
	}
	v, err := readVersions(s.Context(), s.kube, client.ObjectKeyFromObject(d), client.ObjectKeyFromObject(s.exs))
	if err != nil {
		s.Fatal(err)
	}
	key := inspection{client.ObjectKeyFromObject(s.exs), inspectVersions}
	s.Inspector.look(key, subjectOf(d), 0)
	s.Inspector.note(key, subjectOf(v.deployment), time.Now(), finding{versions: v}, nil)
	out := kube.Step{}
	run := &following{Follower: s.Follower, exs: s.exs, state: State{deployment: d}, intents: intents, out: &out, inventory: s.inventory()}
	run.holdWorkload(s.Context())
	run.ship(s.Context())
	if len(out.Errs) > 0 || len(out.Failures) > 0 {
		s.Fatalf("it cannot be followed: %v, %+v", out.Errs, out.Failures)
	}
}

// inventory has the Service of the stable side, which selects by the stable version's hash.
func (s *ship) inventory() *kube.Inventory {
	s.Helper()
	inventory := s.NewInventory(s.exs)
	name := gateway.SlotServiceName(s.exs, v1alpha1.SlotBlue)
	front := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.exs.Namespace, Name: name, OwnerReferences: []metav1.OwnerReference{ownedBy(s.exs)},
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: s.exs.Name, v1alpha1.LabelOwnerNamespace: s.exs.Namespace,
			},
		},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}, Selector: map[string]string{workload.LabelTemplateHash: s.stableHash}},
	}
	if err := client.IgnoreAlreadyExists(s.kube.Create(s.Context(), front)); err != nil {
		s.Fatal(err)
	}
	if _, err := inventory.Find(s.Context(), kube.KindService, kube.KindService.Ref(front)); err != nil {
		s.Fatal(err)
	}
	return inventory
}

// has says whether the Deployment is at rest with so many pods of both images.
func (s *ship) has(first, second int32) error {
	s.get()
	sizes := map[string]int32{}
	done := s.d.Status.ObservedGeneration == s.d.Generation
	var seen []string
	for _, set := range s.sets() {
		n := *set.Spec.Replicas
		image := set.Spec.Template.Spec.Containers[0].Image
		sizes[image] += n
		done = done && set.Status.Replicas == n && set.Status.AvailableReplicas == n && set.Status.ObservedGeneration == set.Generation
		seen = append(seen, fmt.Sprintf("%s %d of %d", set.Name, set.Status.AvailableReplicas, n))
	}
	s.most = max(s.most, sizes[secondImage])
	if !done || sizes[shop.FirstImage] != first || sizes[secondImage] != second {
		return fmt.Errorf("there are %s", strings.Join(seen, ", "))
	}
	return nil
}

// sets are all ReplicaSets with the Deployment's pods, whoever has them.
func (s *ship) sets() []appsv1.ReplicaSet {
	var list appsv1.ReplicaSetList
	if err := s.kube.List(s.Context(), &list, client.InNamespace(s.exs.Namespace)); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

// until follows until there are so many pods of both images. The second never gets more than it has or is to have.
func (s *ship) until(intents rollout.Intents, first, second int32) {
	s.Helper()
	s.most = 0
	_ = s.has(0, 0)
	most := max(s.most, second)
	s.eventually(fmt.Sprintf("%d and %d pods", first, second), func() error {
		s.follow(intents)
		return s.has(first, second)
	})
	if s.most > most {
		s.Errorf("the second image has been given %d pods, and not more than %d are to be", s.most, most)
	}
}

// onlyFirst waits until the canary's ReplicaSet is deleted.
func (s *ship) onlyFirst(intents rollout.Intents) {
	s.Helper()
	s.eventually("the canary's ReplicaSet goes", func() error {
		s.follow(intents)
		if sets := s.sets(); len(sets) != 1 {
			return fmt.Errorf("there are %d", len(sets))
		}
		return nil
	})
}

func (s *ship) eventually(what string, f func() error) {
	s.Helper()
	if err := apiserver.Poll(s.Context(), apiserver.Patience, f); err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

func TestACanaryGrowsAndShrinksInsideTheDeployment(t *testing.T) {
	s := newShip(t, 4)
	for _, size := range []int32{1, 2, 3, 2, 1, 3} {
		s.until(s.canary(size), 5-size, size)
	}
	s.until(s.absent(), 4, 0)
	s.onlyFirst(s.absent())
	// From three to two it goes by way of one: what is as large as stable and newer gets back what it is to lose.
	if started := s.Started()[secondImage]; started != 6 {
		t.Errorf("%d pods of the second image were started", started)
	}
}

func TestAPromotionStartsNoPodTwice(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(1), 4, 1)
	s.until(s.canary(3), 2, 3)
	released := s.canary(4)
	released.Workload = rollout.WorkloadReleased
	s.until(released, 0, 4)
	if started := s.Started(); started[secondImage] != 4 {
		t.Errorf("started: %v", started)
	}
}

// Kubernetes takes the pods of all others as soon as the new version has all, whatever else is asked of it.
func TestAPromotionThatHasComeToTheEndIsTakenBack(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(1), 4, 1)
	released := s.canary(4)
	released.Workload = rollout.WorkloadReleased
	s.until(released, 0, 4)
	s.until(s.canary(3), 2, 3)
	s.until(s.absent(), 4, 0)
	s.onlyFirst(s.absent())
}

func TestAnAutoscalerMovesBothSides(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(2), 3, 2)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](8) })
	s.until(s.canary(4), 6, 4)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](4) })
	s.until(s.canary(2), 3, 2)
}

// Scaled to as many pods as the canary has, Kubernetes would take it for complete, and stable's pods away.
func TestScalingDownToTheCanarysSizeLeavesStableItsPods(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(3), 2, 3)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](2) })
	s.until(s.canary(1), 2, 1)
	// Of its four pods one is left, and one more starts when the canary has less.
	if started := s.Started(); started[shop.FirstImage] > 5 || started[secondImage] > 3 {
		t.Errorf("started: %v", started)
	}
}

// Somebody resumes the Deployment, and Headgate is not there: what stands in for the canary gets the pods, which have the canary's hash.
func TestWhatIsResumedByHandKeepsTheHashOfTheCanary(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(2), 3, 2)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = false })
	s.eventually("Kubernetes has rolled it out", func() error { return s.has(0, 4) })
	canary := s.canary(2)
	for _, set := range s.sets() {
		if hash := workload.HashOf(&set); set.Status.Replicas > 0 && hash != canary.Canary.Hash {
			t.Errorf("%s has pods, and the canary's hash is %s", set.Name, canary.Canary.Hash)
		}
	}
	// Headgate is back, and takes back what is not proved.
	s.until(canary, 3, 2)
	s.until(s.absent(), 4, 0)
	s.onlyFirst(s.absent())
}

func TestWithoutSurgeThereAreNeverMorePods(t *testing.T) {
	s := newShip(t, 4, func(d *appsv1.Deployment) {
		d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: ptr.To(intstr.FromInt32(0)), MaxUnavailable: ptr.To(intstr.FromInt32(1))}
	})
	for _, size := range []int32{1, 2, 3, 1} {
		s.until(s.canary(size), 4-size, size)
	}
	s.until(s.absent(), 4, 0)
}

func TestTheCanaryOfOnePodStandsApart(t *testing.T) {
	s := newShip(t, 1)
	s.until(s.canary(1), 1, 1)
	released := s.canary(1)
	released.Workload, released.Canary.Apart = rollout.WorkloadReleased, false
	s.until(released, 0, 1)
	if started := s.Started(); started[secondImage] != 1 {
		t.Errorf("started: %v", started)
	}
}

func TestTheCanaryOfOnePodIsRolledBack(t *testing.T) {
	s := newShip(t, 1)
	s.until(s.canary(1), 1, 1)
	s.until(s.absent(), 1, 0)
	s.onlyFirst(s.absent())
}

// Scaled to one pod, Kubernetes would take the canary's or stable's.
func TestADeploymentIsScaledToOnePodAndBack(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(2), 3, 2)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](1) })
	s.until(s.canary(1), 1, 1)
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](4) })
	s.until(s.canary(2), 3, 2)
}

// With no pods Kubernetes starts the newest version, which is not to be the untested one.
func TestStableComesBackFromNoPods(t *testing.T) {
	for name, limit := range map[string]int32{"with a history": 10, "without": 0} {
		t.Run(name, func(t *testing.T) {
			s := newShip(t, 4, func(d *appsv1.Deployment) { d.Spec.RevisionHistoryLimit = &limit })
			s.until(s.canary(2), 3, 2)
			s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](0) })
			s.eventually("the canary goes", func() error {
				s.follow(s.absent())
				for _, set := range s.sets() {
					if workload.HashOf(&set) != s.stableHash {
						return fmt.Errorf("there is %s", set.Name)
					}
				}
				return s.has(0, 0)
			})
			s.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = ptr.To[int32](2) })
			s.until(s.absent(), 2, 0)
			s.until(s.canary(1), 2, 1)
		})
	}
}

// deleted gives up for an ExposedService that is being deleted.
func (s *ship) deleted() {
	s.Helper()
	s.eventually("the Deployment is given up", func() error {
		_ = s.has(0, 0)
		if done, err := s.GiveUp(s.Context(), s.exs); err != nil || !done {
			return fmt.Errorf("not yet: %w", err)
		}
		return nil
	})
	s.get()
}

func TestADeletedExposedServiceLeavesStableRunning(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(2), 3, 2)
	s.deleted()
	if err := s.has(4, 0); err != nil || !s.d.Spec.Paused || s.most > 2 || s.d.Labels[v1alpha1.LabelRollout] != "" {
		t.Errorf("paused %t, labels %v, at most %d: %v", s.d.Spec.Paused, s.d.Labels, s.most, err)
	}
	select {
	case event := <-s.Events.Recorder.(*events.FakeRecorder).Events:
		if !strings.Contains(event, "rollout resume deployment "+s.d.Name) {
			t.Errorf("it is told as %q", event)
		}
	default:
		t.Error("nobody is told how to release it")
	}
	d := s.d.DeepCopy()
	if _, err := KeepPausers(d); err != nil || !isLeft(d) {
		t.Errorf("it is paused by %+v: %v", d.ManagedFields, err)
	}
	// A rollout that is asked for again takes it over.
	s.until(s.canary(1), 4, 1)
	released := s.canary(4)
	released.Workload = rollout.WorkloadReleased
	s.until(released, 0, 4)
	if s.get(); s.d.Spec.Paused {
		t.Error("it stays paused")
	}
}

func TestADeletedExposedServiceReleasesWhatItIsToldTo(t *testing.T) {
	s := newShip(t, 4)
	s.until(s.canary(2), 3, 2)
	s.exs.Status.Rollout.OnRemoval = v1alpha1.RemovalRelease
	s.deleted()
	s.eventually("Kubernetes rolls it out", func() error { return s.has(0, 4) })
	if s.d.Spec.Paused || len(s.d.Labels) > 0 {
		t.Errorf("paused %t, labels %v", s.d.Spec.Paused, s.d.Labels)
	}
}

// The selector of a Service is one field to server-side apply: whoever gives up a key of it gives up all.
func TestAProtectedServiceGetsItsSelectorBack(t *testing.T) {
	s := newShip(t, 1)
	front := shop.Service(s.exs.Namespace, shop.Primary)
	s.create(front)
	selector := map[string]string{}
	for key, value := range front.Spec.Selector {
		selector[key] = value
	}
	step := func(hash string) map[string]string {
		t.Helper()
		out := kube.Step{}
		if err := s.kube.Get(t.Context(), client.ObjectKeyFromObject(front), front); err != nil {
			t.Fatal(err)
		}
		(&following{Follower: s.Follower, exs: s.exs, out: &out, intents: rollout.Intents{Protect: hash}}).protect(t.Context(), front)
		if !out.Went() {
			t.Fatalf("%+v", out)
		}
		if err := s.kube.Get(t.Context(), client.ObjectKeyFromObject(front), front); err != nil {
			t.Fatal(err)
		}
		return front.Spec.Selector
	}
	if got := step(s.stableHash); got[workload.LabelTemplateHash] != s.stableHash || len(got) != len(selector)+1 {
		t.Errorf("protected: %v", got)
	}
	version := front.ResourceVersion
	if step(s.stableHash); front.ResourceVersion != version {
		t.Error("it is written again")
	}
	if got := step(""); fmt.Sprint(got) != fmt.Sprint(selector) || len(front.Labels) > 0 {
		t.Errorf("given back: %v, labels %v", got, front.Labels)
	}
	step(s.stableHash)
	s.exs.Status.Rollout.OnRemoval = v1alpha1.RemovalRelease
	s.deleted()
	if err := s.kube.Get(t.Context(), client.ObjectKeyFromObject(front), front); err != nil || fmt.Sprint(front.Spec.Selector) != fmt.Sprint(selector) {
		t.Errorf("after the ExposedService is deleted: %v, %v", front.Spec.Selector, err)
	}
}

// install puts the admission policy into force that the chart installs.
func (s *ship) install() {
	s.Helper()
	text, err := os.ReadFile("../../config/admission-policy/policy.yaml")
	if err != nil {
		s.Fatal(err)
	}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			s.Fatal(err)
		}
		s.create(object)
	}
}

// What the policy holds is taken over, released, and left unpaused at rest; the API server says by itself that it is in force.
func TestThePolicyHoldsWhatHeadgateReleases(t *testing.T) {
	s := newShip(t, 2)
	probe := func() guard {
		t.Helper()
		found, err := s.Inspector.probe(t.Context(), subjectOf(s.d), s.exs.Name)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	before := s.d.DeepCopy()
	if got := probe(); got != guardOff {
		t.Errorf("without the policy: %s", got)
	}
	s.install()
	s.eventually("the policy is in force", func() error {
		if got := probe(); got != guardOn {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	if s.get(); s.d.ResourceVersion != before.ResourceVersion && s.d.Generation != before.Generation {
		t.Error("a question has changed the Deployment")
	}
	released := rollout.Intents{Workload: rollout.WorkloadReleased, Revision: s.next}
	s.until(released, 0, 2)
	if s.get(); s.d.Spec.Paused {
		t.Fatal("it is paused at rest")
	}
	s.edit(func(spec *appsv1.DeploymentSpec) { spec.Template.Spec.Containers[0].Image = "app:3" })
	d := s.d.DeepCopy()
	if _, err := KeepPausers(d); err != nil {
		t.Fatal(err)
	}
	if held, other := pausers(d); !held || other != "" {
		t.Errorf("held %t, paused by %q: %+v", held, other, s.d.ManagedFields)
	}
	// A template that nobody has decided on is not released.
	s.follow(released)
	s.follow(rollout.Intents{Workload: rollout.WorkloadHeld})
	if s.get(); !s.d.Spec.Paused {
		t.Error("it is released")
	}
	s.exs.Status.Rollout.OnRemoval = v1alpha1.RemovalRelease
	if s.deleted(); s.d.Spec.Paused || len(s.d.Labels) > 0 {
		t.Errorf("given up: paused %t, labels %v", s.d.Spec.Paused, s.d.Labels)
	}
}
