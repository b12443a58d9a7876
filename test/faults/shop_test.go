package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	shopDeployment = primarySvc
	shopCanary     = primarySvc + "-canary"
	stableAddress  = "10.1.0.1"
	canaryAddress  = "10.1.9.1"
)

// shop plays the cluster's controllers for Deployments, at once: one that is not paused replaces its pods, one that is paused keeps
// them. Its proxies count calls.
type shop struct {
	w          *world
	deployment *appsv1.Deployment
	// looks are how often the proxies were asked.
	mu    sync.Mutex
	pods  map[types.UID]map[string]int32
	looks int
	// badSince is the look since which half of the canary's calls fail; 0: none do.
	badSince int
}

// newShop makes the Deployment behind the primary, and plays until the test ends.
func newShop(w *world) *shop {
	w.Helper()
	s := &shop{w: w, pods: map[types.UID]map[string]int32{}}
	labels := map[string]string{"app": shopDeployment}
	s.deployment = &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: shopDeployment, Namespace: w.namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
			},
		},
	}
	proxies := w.slice("proxies", "10.1.8.1")
	proxies.Labels = map[string]string{
		"gateway.envoyproxy.io/owning-gateway-name": "greeter", "gateway.envoyproxy.io/owning-gateway-namespace": w.namespace,
	}
	proxies.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "proxy", UID: "proxy"}
	w.create(s.deployment, proxies)
	w.pages = proxyPages{s}
	s.play()
	return s
}

// shipping has an ExposedService ship the Deployment in steps of a second, with little evidence.
func (s *shop) shipping(exs *v1alpha1.ExposedService) {
	hold := v1alpha1.LongDuration("1s")
	exs.Spec.Rollout = &v1alpha1.Rollout{
		WorkloadRef: &v1alpha1.WorkloadReference{Name: shopDeployment},
		Steps:       []v1alpha1.RolloutStep{{Weight: intstr.FromInt(20), Hold: &hold}, {Weight: intstr.FromInt(50), Hold: &hold}},
		Analysis:    &v1alpha1.Analysis{Errors: &v1alpha1.ErrorTolerance{ProvePercent: ptr.To("5")}},
	}
}

// ship changes the image of the Deployment.
func (s *shop) ship(image string) {
	s.w.Helper()
	edit(s.w, s.deployment, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

// spoil lets half of the canary's calls fail.
func (s *shop) spoil() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.badSince = max(s.looks, 1)
}

func (s *shop) isHeld(exs *v1alpha1.ExposedService) error {
	if err := errors.Join(s.w.read(exs), s.w.read(s.deployment)); err != nil {
		return err
	}
	if r := exs.Status.Rollout; !s.deployment.Spec.Paused || r == nil || r.Stable == "" {
		return fmt.Errorf("paused %t, rollout %+v", s.deployment.Spec.Paused, r)
	}
	return nil
}

func (s *shop) isAtStep(exs *v1alpha1.ExposedService, step int32) error {
	if err := s.w.read(exs); err != nil {
		return err
	}
	if r := exs.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutStepping || r.Step != step {
		return fmt.Errorf("rollout %+v", r)
	}
	return nil
}

// promoted is nil when an image is stable, the Deployment is held again, and nothing is left of the canary.
func (s *shop) promoted(image string) error {
	isStable := func(r *v1alpha1.RolloutStatus) bool { return r.Stable == r.Revision && r.Failed == nil }
	if err := errors.Join(s.isOver(isStable), s.runs(image)); err != nil {
		return err
	}
	canary := metav1.ObjectMeta{Name: shopCanary, Namespace: s.w.namespace}
	for _, object := range []client.Object{&appsv1.Deployment{ObjectMeta: canary}, &corev1.Service{ObjectMeta: canary}} {
		if err := s.w.read(object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%T of the canary: %w", object, errors.Join(err, errors.New("it is there")))
		}
	}
	return nil
}

// rolledBack is nil when the canary has failed and has no pods, and those of the Deployment are the old ones.
func (s *shop) rolledBack() error {
	if err := errors.Join(s.isOver(func(r *v1alpha1.RolloutStatus) bool { return r.Failed != nil }), s.runs("app:1")); err != nil {
		return err
	}
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: shopCanary, Namespace: s.w.namespace}}
	if err := s.w.read(canary); err != nil {
		return err
	}
	if n := *canary.Spec.Replicas; n > 0 {
		return fmt.Errorf("the canary has %d pods", n)
	}
	return nil
}

func (s *shop) isOver(as func(*v1alpha1.RolloutStatus) bool) error {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: "greeter", Namespace: s.w.namespace}}
	if err := s.w.read(exs); err != nil {
		return err
	}
	if r := exs.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutIdle || r.Revision == "" || !as(r) {
		return fmt.Errorf("rollout %+v", r)
	}
	return nil
}

// runs is nil when all pods are of an image, and the Deployment is held.
func (s *shop) runs(image string) error {
	if err := s.w.read(s.deployment); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for template, n := range s.pods[s.deployment.UID] {
		var t corev1.PodTemplateSpec
		if err := json.Unmarshal([]byte(template), &t); err != nil {
			return err
		}
		if n > 0 && t.Spec.Containers[0].Image != image {
			return fmt.Errorf("%d pods of %s", n, t.Spec.Containers[0].Image)
		}
	}
	if !s.deployment.Spec.Paused {
		return errors.New("the Deployment is not held")
	}
	return nil
}

func (s *shop) play() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(30 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.control(ctx)
			}
		}
	}()
	s.w.Cleanup(func() { cancel(); <-done })
}

func (s *shop) control(ctx context.Context) {
	var list appsv1.DeploymentList
	if err := s.w.kube.List(ctx, &list, client.InNamespace(s.w.namespace)); err != nil {
		s.played(ctx, err)
		return
	}
	for i := range list.Items {
		s.controlDeployment(ctx, &list.Items[i])
	}
}

func (s *shop) controlDeployment(ctx context.Context, d *appsv1.Deployment) {
	template, err := json.Marshal(d.Spec.Template)
	if err != nil {
		s.w.Error(err)
		return
	}
	current, want := string(template), ptr.Deref(d.Spec.Replicas, 1)
	s.mu.Lock()
	pods := s.pods[d.UID]
	switch {
	case pods == nil, !d.Spec.Paused:
		pods = map[string]int32{current: want}
		s.pods[d.UID] = pods
	default:
		for t, n := range pods {
			if n > 0 || len(pods) == 1 {
				pods[t] = want
			}
		}
	}
	status := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: want, UpdatedReplicas: pods[current], ReadyReplicas: want, AvailableReplicas: want,
	}
	s.mu.Unlock()
	if !equality.Semantic.DeepEqual(d.Status, status) {
		d.Status = status
		s.played(ctx, s.w.kube.Status().Update(ctx, d))
	}
	if d.Name == shopCanary {
		s.controlCanary(ctx, want)
	}
}

// controlCanary gives the canary an endpoint while it has pods.
func (s *shop) controlCanary(ctx context.Context, pods int32) {
	slice := s.w.slice(shopCanary, canaryAddress)
	live := &discoveryv1.EndpointSlice{}
	switch err := s.w.kube.Get(ctx, client.ObjectKeyFromObject(slice), live); {
	case apierrors.IsNotFound(err):
		s.played(ctx, s.w.kube.Create(ctx, slice))
	case err == nil && *live.Endpoints[0].Conditions.Ready != (pods > 0):
		live.Endpoints[0].Conditions.Ready = ptr.To(pods > 0)
		s.played(ctx, s.w.kube.Update(ctx, live))
	}
}

func (s *shop) played(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
		s.w.Errorf("play the cluster: %v", err)
	}
}
