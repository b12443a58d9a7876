package shop

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lookEvery is how often the controllers look at the Deployments.
const lookEvery = 30 * time.Millisecond

// Workloads are the controllers of a namespace's Deployments and their pods. They do at once what those of a cluster do: a Deployment
// that is not paused replaces its pods, one that is paused keeps them. The canary has an endpoint while it has pods.
type Workloads struct {
	t         testing.TB
	kube      client.Client
	namespace string

	mu sync.Mutex
	// pods are how many pods of each template, as JSON, a Deployment has.
	pods map[types.UID]map[string]int32
}

// StartWorkloads runs the controllers until the test ends.
func StartWorkloads(t testing.TB, kube client.Client, namespace string) *Workloads {
	t.Helper()
	w := &Workloads{t: t, kube: kube, namespace: namespace, pods: map[types.UID]map[string]int32{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.control(ctx)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// Templates are those of the pods that a Deployment has.
func (w *Workloads) Templates(deployment *appsv1.Deployment) []corev1.PodTemplateSpec {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []corev1.PodTemplateSpec
	for text, n := range w.pods[deployment.UID] {
		if n == 0 {
			continue
		}
		var template corev1.PodTemplateSpec
		if err := json.Unmarshal([]byte(text), &template); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, template)
	}
	return out
}

func (w *Workloads) control(ctx context.Context) {
	var list appsv1.DeploymentList
	if err := w.kube.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
		w.done(ctx, err)
		return
	}
	for i := range list.Items {
		w.controlDeployment(ctx, &list.Items[i])
	}
}

// controlDeployment is what the Deployment's controller and those of its pods do.
func (w *Workloads) controlDeployment(ctx context.Context, d *appsv1.Deployment) {
	template, err := json.Marshal(d.Spec.Template)
	if err != nil {
		w.t.Error(err)
		return
	}
	current, want := string(template), ptr.Deref(d.Spec.Replicas, 1)
	w.mu.Lock()
	pods := w.pods[d.UID]
	switch {
	case pods == nil, !d.Spec.Paused:
		pods = map[string]int32{current: want}
		w.pods[d.UID] = pods
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
	w.mu.Unlock()
	if !equality.Semantic.DeepEqual(d.Status, status) {
		d.Status = status
		w.done(ctx, w.kube.Status().Update(ctx, d))
	}
	if d.Name == Canary {
		w.controlCanary(ctx, want)
	}
}

// controlCanary gives the canary an endpoint while it has pods.
func (w *Workloads) controlCanary(ctx context.Context, pods int32) {
	slice := Slice(w.namespace, Canary, CanaryAddress)
	live := &discoveryv1.EndpointSlice{}
	switch err := w.kube.Get(ctx, client.ObjectKeyFromObject(slice), live); {
	case apierrors.IsNotFound(err):
		w.done(ctx, w.kube.Create(ctx, slice))
	case err == nil && *live.Endpoints[0].Conditions.Ready != (pods > 0):
		live.Endpoints[0].Conditions.Ready = ptr.To(pods > 0)
		w.done(ctx, w.kube.Update(ctx, live))
	}
}

func (w *Workloads) done(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) &&
		!apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		w.t.Errorf("play the cluster's controllers: %v", err)
	}
}
