package controllers

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// play is a rollout of the Deployment primary-svc from app:1 to app:2, with the controllers that no test has: of Deployments, of
// their pods, and of EndpointSlices.
type play struct {
	*world
	exs    *v1alpha1.ExposedService
	d      *appsv1.Deployment
	canary *appsv1.Deployment
}

// startPlay starts an operator and has it hold the Deployment, with this analysis and steps that hold for a second. Its clock is fast: a
// step takes 16 seconds of counted calls at least, and a canary that is worse is rolled back after a minute or two.
func startPlay(t *testing.T, analysis v1alpha1.Analysis, options ...operatorOption) *play {
	t.Helper()
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator(append([]operatorOption{inHaste(newFastClock())}, options...)...)
	p := &play{world: w, d: w.deployment("primary-svc")}
	p.canary = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "primary-svc-canary", Namespace: w.namespace}}
	w.create(p.d)
	p.exs = w.exposedService("greeter", shipping(p.d.Name), func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout.Analysis = &analysis
		for _, weight := range []int{10, 50} {
			exs.Spec.Rollout.Steps = append(exs.Spec.Rollout.Steps, v1alpha1.RolloutStep{
				Weight: intstr.FromInt(weight), Hold: ptr.To(v1alpha1.LongDuration("1s")),
			})
		}
	})
	w.create(p.exs)
	w.untilHeld(p.exs, p.d)
	return p
}

// ship asks for the new version.
func (p *play) ship() {
	p.t.Helper()
	edit(p.world, p.d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "app:2" })
}

// until plays until the rollout's status is as it is to be.
func (p *play) until(what string, is func(v1alpha1.RolloutStatus) bool) {
	p.t.Helper()
	p.eventually(what, func() error {
		if err := errors.Join(p.controlDeployment(p.d, "app:1"), p.controlCanary(), p.read(p.exs)); err != nil {
			return err
		}
		if status := p.exs.Status.Rollout; status == nil || !is(*status) {
			return fmt.Errorf("the rollout is %+v", status)
		}
		return nil
	})
}

// controlCanary makes the canary's pod, ready long since, its status, and its EndpointSlice, once there is a canary.
func (p *play) controlCanary() error {
	if err := p.read(p.canary); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	replicas := *p.canary.Spec.Replicas
	want := appsv1.DeploymentStatus{
		ObservedGeneration: p.canary.Generation, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas,
	}
	if have := p.canary.Status; have.ObservedGeneration == want.ObservedGeneration && have.ReadyReplicas == replicas {
		return nil
	}
	if err := p.controlCanaryPod(); err != nil {
		return err
	}
	p.canary.Status = want
	return p.kube.Status().Update(p.t.Context(), p.canary)
}

func (p *play) controlCanaryPod() error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "primary-svc-canary-1", Namespace: p.namespace, Labels: p.canary.Spec.Template.Labels},
		Spec:       p.canary.Spec.Template.Spec,
	}
	if err := p.kube.Create(p.t.Context(), pod); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	long := metav1.Date(2026, 1, 1, 0, 0, 0, 0, metav1.Now().Location())
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: long}}
	if err := p.kube.Status().Update(p.t.Context(), pod); err != nil {
		return err
	}
	slice := p.slice(p.canary.Name, shop.CanaryAddress)
	slice.Endpoints[0].TargetRef = podRef(pod.Name, pod.UID)
	return p.kube.Create(p.t.Context(), slice)
}

func podRef(name string, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Pod", Name: name, UID: uid}
}

// namePods gives the endpoints of a slice pods.
func namePods(slice *discoveryv1.EndpointSlice) {
	for i := range slice.Endpoints {
		name := fmt.Sprintf("pod-%d", i)
		slice.Endpoints[i].TargetRef = podRef(name, types.UID(slice.Name+name))
	}
}
