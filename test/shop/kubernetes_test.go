package shop

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/apiserver"
)

const secondImage = "app:2"

// release is a Deployment of FirstImage whose pods are made by Kubernetes' controllers, and the ReplicaSet of another version that a
// test makes. Nothing of Headgate takes part: these tests are about what its rollouts take for granted.
type release struct {
	*testing.T
	*Workloads
	d      *appsv1.Deployment
	canary *appsv1.ReplicaSet
}

// newRelease has so many replicas, ready.
func newRelease(t *testing.T, replicas int32, with ...func(*appsv1.Deployment)) *release {
	t.Helper()
	t.Parallel()
	kube := apiserver.Client(t)
	r := &release{T: t, Workloads: StartWorkloads(t, kube, apiserver.Namespace(t, kube))}
	r.d = Deployment(r.namespace, Primary)
	r.d.Spec.Replicas = &replicas
	for _, f := range with {
		f(r.d)
	}
	r.create(Service(r.namespace, Primary))
	r.create(r.d)
	r.until(replicas, 0)
	return r
}

func surge(maxSurge, maxUnavailable int) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{
			MaxSurge: ptr.To(intstr.FromInt(maxSurge)), MaxUnavailable: ptr.To(intstr.FromInt(maxUnavailable)),
		}
	}
}

func (r *release) create(object client.Object) {
	r.Helper()
	if err := r.kube.Create(r.Context(), object); err != nil {
		r.Fatal(err)
	}
}

func (r *release) edit(f func(*appsv1.DeploymentSpec)) {
	r.Helper()
	before := r.d.DeepCopy()
	f(&r.d.Spec)
	if err := r.kube.Patch(r.Context(), r.d, client.MergeFrom(before)); err != nil {
		r.Fatal(err)
	}
}

func (r *release) scale(replicas int32) {
	r.Helper()
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Replicas = &replicas })
}

func (r *release) ship() {
	r.Helper()
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Template.Spec.Containers[0].Image = secondImage })
}

// hold ships the other image to a Deployment that is paused, and makes a ReplicaSet of it by hand, once the controller knows both: see
// TestAReplicaSetBeforeItsTemplateIsScaledToZero.
func (r *release) hold(replicas int32, owner client.Object) {
	r.Helper()
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = true })
	r.ship()
	r.until(r.d.Status.Replicas, 0)
	r.makeCanary(replicas, owner)
}

func (r *release) makeCanary(replicas int32, owner client.Object) {
	r.Helper()
	gvk, err := r.kube.GroupVersionKindFor(owner)
	if err != nil {
		r.Fatal(err)
	}
	template := *r.d.Spec.Template.DeepCopy()
	template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "byhand"
	template.Spec.Containers[0].Image = secondImage
	r.canary = &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: Primary + "-byhand", Namespace: r.namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, gvk)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template},
	}
	r.create(r.canary)
}

func (r *release) scaleCanary(replicas int32) {
	r.Helper()
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := r.kube.Patch(r.Context(), r.canary, patch); err != nil {
		r.Fatal(err)
	}
}

// until waits until the controller of the Deployment is done: it has so many pods of the first and of the other image, and its
// status, which is written after what is scaled, counts them.
func (r *release) until(first, second int32) {
	r.Helper()
	r.untilCounted(first, second, first+second)
}

// untilCounted is until, with a Deployment that counts only so many of them, as its own.
func (r *release) untilCounted(first, second, own int32) {
	r.Helper()
	want := map[string]int32{FirstImage: first, secondImage: second}
	r.eventually(fmt.Sprintf("%d pods of %s, %d of %s", first, FirstImage, second, secondImage), func() error {
		if err := r.kube.Get(r.Context(), client.ObjectKeyFromObject(r.d), r.d); err != nil {
			return err
		}
		sizes := map[string]int32{}
		var seen []string
		done := true
		for _, set := range r.ReplicaSets(r.d) {
			n := *set.Spec.Replicas
			sizes[imageOf(&set.Spec.Template.Spec)] += n
			done = done && set.Status.Replicas == n && set.Status.AvailableReplicas == n && set.Status.ObservedGeneration == set.Generation
			seen = append(seen, fmt.Sprintf("%s %d", set.Name, n))
		}
		status := r.d.Status
		done = done && status.ObservedGeneration == r.d.Generation && status.Replicas == own && status.AvailableReplicas == own
		if !done || sizes[FirstImage] != want[FirstImage] || sizes[secondImage] != want[secondImage] {
			return fmt.Errorf("%s, and %+v", strings.Join(seen, ", "), status)
		}
		return nil
	})
}

func (r *release) untilReady(images string) {
	r.Helper()
	r.eventually("the endpoints are of "+images, func() error {
		if ready := Images(r.Ready(Primary)); ready != images {
			return fmt.Errorf("they are of %s", ready)
		}
		return nil
	})
}

func (r *release) wantStarted(images string) {
	r.Helper()
	if started := Images(r.Started()); started != images {
		r.Errorf("there were pods of %s, not of %s", started, images)
	}
}

func (r *release) eventually(what string, f func() error) {
	r.Helper()
	if err := apiserver.Poll(r.Context(), apiserver.Patience, f); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

func TestADeploymentIsRolledOut(t *testing.T) {
	r := newRelease(t, 4)
	r.untilReady("app:1 4")
	begun := time.Now()
	r.ship()
	r.until(0, 4)
	t.Logf("a rollout of 4 pods takes %v", time.Since(begun))
	r.untilReady("app:2 4")
	r.wantStarted("app:1 4, app:2 4")
	if templates := r.Templates(r.d); len(templates) != 1 || imageOf(&templates[0].Spec) != secondImage {
		t.Errorf("its pods are of %+v", templates)
	}
	r.eventually("each pod has an address of its own, and those that have ended none", func() error {
		addresses := map[string]bool{}
		for _, endpoint := range r.Endpoints(Primary) {
			addresses[endpoint.Addresses[0]] = true
		}
		if len(addresses) != 4 {
			return fmt.Errorf("the addresses are %v", addresses)
		}
		return nil
	})
}

func TestAHeldDeploymentSharesItsSizeOut(t *testing.T) {
	r := newRelease(t, 4)
	r.hold(1, r.d)
	r.until(4, 1)
	r.untilReady("app:1 4, app:2 1")
	r.scaleCanary(2)
	r.until(3, 2) // the surplus is taken from the largest
	r.scale(8)
	r.until(6, 4) // the ratio is kept, the sum is replicas and surge
	r.scaleCanary(3)
	r.until(7, 3) // what is left goes to the largest
	r.scaleCanary(4)
	r.until(6, 4)
	r.scale(4)
	r.until(3, 2)
	r.scaleCanary(0)
	r.until(4, 0)
	r.scaleCanary(1)
	r.until(4, 1)
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = false })
	r.until(0, 4)
	r.untilReady("app:2 4")
}

func TestAPromotionStartsNoPodTwice(t *testing.T) {
	r := newRelease(t, 4)
	r.hold(1, r.d)
	r.until(4, 1)
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = false })
	r.until(0, 4)
	r.wantStarted("app:1 4, app:2 4")
}

func TestAHeldDeploymentWithoutSurgeHasNoPodMore(t *testing.T) {
	r := newRelease(t, 4, surge(0, 1))
	r.hold(1, r.d)
	r.until(3, 1)
	r.scaleCanary(2)
	r.until(2, 2)
	r.wantStarted("app:1 4, app:2 2")
}

// The controller watches Deployments and ReplicaSets apart, so that it may hear of a ReplicaSet before it hears of the template, or of
// the pause, that was written first. Only status.observedGeneration says what it has heard of.
func TestAReplicaSetBeforeItsTemplateIsScaledToZero(t *testing.T) {
	r := newRelease(t, 4)
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = true })
	r.makeCanary(1, r.d)
	r.until(4, 0)
	r.ship()
	r.until(4, 0)
	r.scaleCanary(1)
	r.until(4, 1)
}

func TestAHeldDeploymentOfOneReplicaIsReplaced(t *testing.T) {
	r := newRelease(t, 1)
	r.hold(1, r.d)
	r.until(0, 1)
}

func TestAReplicaSetOfAnotherOwnerIsLeftAloneUntilItIsHandedOver(t *testing.T) {
	r := newRelease(t, 1)
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner", Namespace: r.namespace}}
	r.create(owner)
	r.hold(1, owner)
	r.untilCounted(1, 1, 1)
	r.untilReady("app:1 1, app:2 1")
	// Something that the controller has to answer.
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.ProgressDeadlineSeconds = ptr.To[int32](900) })
	r.untilCounted(1, 1, 1)

	before := r.canary.DeepCopy()
	r.canary.OwnerReferences = nil
	if err := r.kube.Patch(t.Context(), r.canary, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	r.until(0, 1)
	r.edit(func(spec *appsv1.DeploymentSpec) { spec.Paused = false })
	r.until(0, 1)
	r.wantStarted("app:1 1, app:2 1")
}

func TestWhoeverIsScaledToZeroComesBackAsTheNewest(t *testing.T) {
	r := newRelease(t, 4)
	r.hold(1, r.d)
	r.until(4, 1)
	r.scaleCanary(0)
	r.until(4, 0)
	r.scale(0)
	r.until(0, 0)
	r.scale(2)
	r.until(0, 2)
}

func TestWhoeverIsScaledToZeroComesBackAsTheOnlyOne(t *testing.T) {
	r := newRelease(t, 4)
	r.hold(1, r.d)
	r.until(4, 1)
	if err := r.kube.Delete(t.Context(), r.canary); err != nil {
		t.Fatal(err)
	}
	r.untilReady("app:1 4") // the canary's pod is collected
	r.scale(0)
	r.until(0, 0)
	r.scale(2)
	r.until(2, 0)
}

func TestPodsBehaveAsTheyAreToldTo(t *testing.T) {
	for name, c := range map[string]struct {
		Behaviour
		is func(corev1.Pod) bool
	}{
		"never ready": {Behaviour{NeverReady: true}, func(pod corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodRunning && pod.Status.ContainerStatuses[0].State.Running != nil
		}},
		"crashes": {Behaviour{Waiting: "CrashLoopBackOff"}, func(pod corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodRunning && pod.Status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
		}},
		"no image": {Behaviour{Waiting: "ImagePullBackOff"}, func(pod corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName != ""
		}},
		"no node": {Behaviour{Unschedulable: "0/1 nodes are available"}, func(pod corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName == "" && pod.Status.Conditions[0].Message == "0/1 nodes are available"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelease(t, 2)
			r.Behave(secondImage, c.Behaviour)
			r.ship()
			r.eventually("the new pod", func() error {
				for _, pod := range r.Pods(r.d.Spec.Selector.MatchLabels) {
					if imageOf(&pod.Spec) == secondImage && len(pod.Status.Conditions) > 0 && c.is(pod) {
						return nil
					}
				}
				return fmt.Errorf("there are %+v", r.Pods(nil))
			})
			r.untilReady("app:1 2")
			r.Behave(secondImage, Behaviour{})
			r.until(0, 2)
			r.untilReady("app:2 2")
			r.Behave(secondImage, Behaviour{NeverReady: true})
			r.untilReady("")
		})
	}
}

func TestPodsTakeTheirTime(t *testing.T) {
	r := newRelease(t, 2)
	const takes = 1500 * time.Millisecond
	r.Behave(FirstImage, Behaviour{EndsAfter: takes})
	r.Behave(secondImage, Behaviour{ReadyAfter: takes})
	begun := time.Now()
	r.ship()
	r.untilReady("app:2 2")
	if took := time.Since(begun); took < 2*takes {
		t.Errorf("two pods, one after the other, are ready within %v", took)
	}
	r.eventually("the last one ends", func() error {
		for _, endpoint := range r.Endpoints(Primary) {
			if ptr.Deref(endpoint.Conditions.Terminating, false) {
				return nil
			}
		}
		return fmt.Errorf("no endpoint ends: %+v", r.Endpoints(Primary))
	})
	r.eventually("all have ended", func() error {
		if n := len(r.Endpoints(Primary)); n != 2 {
			return fmt.Errorf("there are %d endpoints", n)
		}
		return nil
	})
}

func TestBackendsHaveAddressesThatAreKnown(t *testing.T) {
	t.Parallel()
	kube := apiserver.Client(t)
	r := &release{T: t, Workloads: StartWorkloads(t, kube, apiserver.Namespace(t, kube))}
	r.MakeBackends()
	r.eventually("the endpoints of the backup", func() error {
		var addresses []string
		for _, endpoint := range r.Endpoints(Backup) {
			if *endpoint.Conditions.Ready {
				addresses = append(addresses, endpoint.Addresses...)
			}
		}
		slices.Sort(addresses)
		if want := []string{Address(1, 1), Address(1, 2)}; !slices.Equal(addresses, want) {
			return fmt.Errorf("they are %v, not %v", addresses, want)
		}
		return nil
	})
	if ready := r.Ready(Primary); len(ready) != 0 {
		t.Errorf("without a Deployment the primary has %v", ready)
	}
}

func TestProxiesCountTheCallsOfPodsThatThereAre(t *testing.T) {
	r := newRelease(t, 2)
	counts := NewCounts(r.Workloads)
	counts.Spoil(secondImage)
	page := func() string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://proxy/stats", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := counts.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	r.untilReady("app:1 2")
	r.eventually("the calls of both", func() error {
		if text := page(); strings.Count(text, "rq_success{") != 2 || strings.Count(text, "} 0\n") != 2 {
			return fmt.Errorf("the page is %s", text)
		}
		return nil
	})
	r.ship()
	r.until(0, 2)
	r.eventually("half of the calls of both have failed", func() error {
		text := page()
		if strings.Count(text, "rq_success{") != 2 || strings.Contains(text, "} 0\n") {
			return fmt.Errorf("the page is %s", text)
		}
		return nil
	})
}
