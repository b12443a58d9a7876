package shop

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/apiserver"
)

// kubelets is how many pods of a namespace are worked on at the same time.
const kubelets = 4

// Workloads are what makes pods in a namespace: Kubernetes' own controllers of Deployments, ReplicaSets and EndpointSlices, and a
// scheduler and a kubelet that start no container. Every pod is ready at once, and gone as soon as it is deleted, unless Behave
// says otherwise.
type Workloads struct {
	t         testing.TB
	kube      client.Client
	namespace string
	// cached has the pods.
	cached client.Reader
	queue  workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu sync.Mutex
	// behaviours are by image.
	behaviours map[string]Behaviour
	// started are all pods that were ever started.
	started map[types.UID]start
}

// start is what was started, and when: the time in a pod's status has whole seconds.
type start struct {
	image string
	at    time.Time
}

// StartWorkloads lets a namespace have pods until the test ends. Services and Deployments are best made after it.
func StartWorkloads(t testing.TB, kube client.Client, namespace string) *Workloads {
	t.Helper()
	apiserver.Controllers(t, kube, namespace)
	w := &Workloads{
		t: t, kube: kube, namespace: namespace,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](
			5*time.Millisecond, time.Second)),
		behaviours: map[string]Behaviour{}, started: map[types.UID]start{},
	}
	config := apiserver.Config(t)
	config.QPS = -1
	reader, err := cache.New(config, cache.Options{
		Scheme: kube.Scheme(), Mapper: kube.RESTMapper(), DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := reader.Start(ctx); err != nil {
			t.Errorf("watch the pods: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		w.queue.ShutDown()
		running.Wait()
	})
	informer, err := reader.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	w.cached = reader
	enqueue := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			w.queue.Add(client.ObjectKeyFromObject(pod))
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, object any) { enqueue(object) },
	}); err != nil {
		t.Fatal(err)
	}
	for range kubelets {
		running.Go(func() { w.work(ctx) })
	}
	return w
}

// MakeBackends makes the Services that ExposedService names, and ready pods behind the backup, at Address(1, 1) and Address(1, 2).
// Those behind the primary are a Deployment's.
func (w *Workloads) MakeBackends() {
	w.t.Helper()
	for _, object := range []client.Object{
		Service(w.namespace, Primary), Service(w.namespace, Backup),
		Pod(w.namespace, Backup, Address(1, 1)), Pod(w.namespace, Backup, Address(1, 2)),
	} {
		if err := w.kube.Create(w.t.Context(), object); err != nil {
			w.t.Fatalf("make %T %s: %v", object, object.GetName(), err)
		}
	}
}

// Behave says how all pods of an image behave from now on.
func (w *Workloads) Behave(image string, b Behaviour) {
	w.mu.Lock()
	w.behaviours[image] = b
	w.mu.Unlock()
	var list corev1.PodList
	if err := w.cached.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	for _, pod := range list.Items {
		if imageOf(&pod.Spec) == image {
			w.queue.Add(client.ObjectKeyFromObject(&pod))
		}
	}
}

// Started is how many pods of each image were ever started.
func (w *Workloads) Started() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for _, s := range w.started {
		out[s.image]++
	}
	return out
}

// Pods are those that there are and that do not end, with the labels of a selector.
func (w *Workloads) Pods(selector map[string]string) []corev1.Pod {
	w.t.Helper()
	var list corev1.PodList
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels(selector)); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// Templates are those of the pods that a Deployment's selector selects, without the hash.
func (w *Workloads) Templates(deployment *appsv1.Deployment) []corev1.PodTemplateSpec {
	w.t.Helper()
	has := map[types.UID]bool{}
	for _, pod := range w.Pods(deployment.Spec.Selector.MatchLabels) {
		if owner := metav1.GetControllerOf(&pod); owner != nil {
			has[owner.UID] = true
		}
	}
	var out []corev1.PodTemplateSpec
	for _, set := range w.ReplicaSets(deployment) {
		if has[set.UID] {
			delete(set.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
			out = append(out, set.Spec.Template)
		}
	}
	return out
}

// ReplicaSets are those that a Deployment's selector selects, from the oldest to the newest, whoever owns them.
func (w *Workloads) ReplicaSets(deployment *appsv1.Deployment) []appsv1.ReplicaSet {
	w.t.Helper()
	var list appsv1.ReplicaSetList
	selector := client.MatchingLabels(deployment.Spec.Selector.MatchLabels)
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(w.namespace), selector); err != nil {
		w.t.Fatal(err)
	}
	slices.SortStableFunc(list.Items, func(a, b appsv1.ReplicaSet) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return list.Items
}

// Endpoints are those of a Service, by the controller of EndpointSlices.
func (w *Workloads) Endpoints(service string) []discoveryv1.Endpoint {
	w.t.Helper()
	var list discoveryv1.EndpointSliceList
	of := client.MatchingLabels{discoveryv1.LabelServiceName: service}
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(w.namespace), of); err != nil {
		w.t.Fatal(err)
	}
	var out []discoveryv1.Endpoint
	for _, slice := range list.Items {
		if slice.AddressType == discoveryv1.AddressTypeIPv4 {
			out = append(out, slice.Endpoints...)
		}
	}
	return out
}

// Ready are how many ready endpoints a Service has of pods of each image.
func (w *Workloads) Ready(service string) map[string]int {
	w.t.Helper()
	images := map[types.UID]string{}
	for _, pod := range w.Pods(nil) {
		images[pod.UID] = imageOf(&pod.Spec)
	}
	out := map[string]int{}
	for _, endpoint := range w.Endpoints(service) {
		if *endpoint.Conditions.Ready && endpoint.TargetRef != nil {
			out[images[endpoint.TargetRef.UID]]++
		}
	}
	return out
}

// serving are the images of the ready pods with a Service's name as their app, by address.
func (w *Workloads) serving(ctx context.Context, service string) (map[string]string, error) {
	var list corev1.PodList
	if err := w.cached.List(ctx, &list, client.InNamespace(w.namespace), client.MatchingLabels{"app": service}); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, pod := range list.Items {
		ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if ready && pod.DeletionTimestamp == nil {
			out[pod.Status.PodIP] = imageOf(&pod.Spec)
		}
	}
	return out, nil
}

// work is what one of the kubelets does until there is no more.
func (w *Workloads) work(ctx context.Context) {
	for {
		name, shutDown := w.queue.Get()
		if shutDown {
			return
		}
		again, err := w.play(ctx, name)
		switch {
		case err != nil && ctx.Err() == nil:
			if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				w.t.Errorf("play the kubelet of pod %s: %v", name.Name, err)
			}
			w.queue.AddRateLimited(name)
		case again > 0:
			w.queue.AddAfter(name, again)
		default:
			w.queue.Forget(name)
		}
		w.queue.Done(name)
	}
}

// play does the next thing that scheduler and kubelet have to do with a pod, and says when to ask again; 0: when it has changed.
func (w *Workloads) play(ctx context.Context, name types.NamespacedName) (time.Duration, error) {
	pod := &corev1.Pod{}
	if err := w.cached.Get(ctx, name, pod); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	w.mu.Lock()
	b, started := w.behaviours[imageOf(&pod.Spec)], w.started[pod.UID]
	w.mu.Unlock()
	now := time.Now()
	if pod.DeletionTimestamp != nil {
		if left := b.EndsAfter - now.Sub(deletedAt(pod)); left > 0 {
			return left, nil
		}
		return 0, client.IgnoreNotFound(w.kube.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID}))
	}
	if pod.Spec.NodeName == "" && b.Unschedulable == "" {
		w.mu.Lock()
		w.started[pod.UID] = start{imageOf(&pod.Spec), now}
		w.mu.Unlock()
		return 0, w.kube.SubResource("binding").Create(ctx, pod, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: apiserver.Node}})
	}
	status, again := b.status(pod, now, now.Sub(started.at))
	if !equality.Semantic.DeepEqual(pod.Status, status) {
		pod.Status = status
		return again, w.kube.Status().Update(ctx, pod)
	}
	return again, nil
}

// deletedAt is when somebody deleted a pod: the time that it has says when it has to have ended.
func deletedAt(pod *corev1.Pod) time.Time {
	grace := time.Duration(0)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	return pod.DeletionTimestamp.Add(-grace)
}

func imageOf(spec *corev1.PodSpec) string { return spec.Containers[0].Image }

// Images says which images there are how often, as in "app:1 3, app:2 1".
func Images(counts map[string]int) string {
	out := ""
	for _, image := range slices.Sorted(maps.Keys(counts)) {
		if counts[image] == 0 {
			continue
		}
		if out != "" {
			out += ", "
		}
		out += fmt.Sprintf("%s %d", image, counts[image])
	}
	return out
}
