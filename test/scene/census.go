package scene

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Census knows every pod of an application that there has been since it began: it watches, so that none is too short-lived.
type Census struct {
	mu   sync.Mutex
	pods map[types.UID]*CountedPod
	// most is how many pods there were at the same time: of each version, and under "" of all. running are those that ran.
	most, running map[string]int
}

// CountedPod is a pod that there is or was.
type CountedPod struct {
	Name, Hash, Address string
	// Annotations are those of its template too.
	Annotations map[string]string
	// Seen is when it was seen first, Left when it was seen first that it is Gone; zero: it is not.
	Seen, Left time.Time
	// Running: its containers run, and it is not being deleted. Gone: it is being deleted, or has ended.
	Running, Gone bool
}

// Count begins a census of an application's pods, which lasts until the context ends.
func (c *Cluster) Count(ctx context.Context, namespace, app string) (*Census, error) {
	return c.CountBy(ctx, namespace, labelsOf(app))
}

// CountBy is Count for all pods with the labels.
func (c *Cluster) CountBy(ctx context.Context, namespace string, with client.MatchingLabels) (*Census, error) {
	out := &Census{pods: map[types.UID]*CountedPod{}, most: map[string]int{}, running: map[string]int{}}
	factory := informers.NewSharedInformerFactoryWithOptions(c.core, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.LabelSelector = labels.SelectorFromSet(labels.Set(with)).String()
		}))
	informer := factory.Core().V1().Pods().Informer()
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { out.note(object, false) },
		UpdateFunc: func(_, object any) { out.note(object, false) },
		DeleteFunc: func(object any) { out.note(object, true) },
	})
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		return nil, fmt.Errorf("count the pods in %s with %v: %w", namespace, with, context.Cause(ctx))
	}
	return out, nil
}

// note takes in what has become of a pod.
func (c *Census) note(object any, deleted bool) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.pods[pod.UID]
	if have == nil {
		have = &CountedPod{Name: pod.Name, Hash: pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey], Annotations: pod.Annotations, Seen: time.Now()}
		c.pods[pod.UID] = have
	}
	if pod.Status.PodIP != "" {
		have.Address = pod.Status.PodIP
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	have.Gone = deleted || ended || !pod.DeletionTimestamp.IsZero()
	if have.Gone && have.Left.IsZero() {
		have.Left = time.Now()
	}
	have.Running = !have.Gone && pod.Status.Phase == corev1.PodRunning
	c.tally()
}

// tally keeps the highest numbers.
func (c *Census) tally() {
	there, running := map[string]int{}, map[string]int{}
	for _, pod := range c.pods {
		for _, group := range []string{"", pod.Hash} {
			if !pod.Gone {
				there[group]++
			}
			if pod.Running {
				running[group]++
			}
		}
	}
	for group, n := range there {
		c.most[group] = max(c.most[group], n)
	}
	for group, n := range running {
		c.running[group] = max(c.running[group], n)
	}
}

// Pods are those that there have been, in the order in which they came, as far as they are of one version; all without a hash.
func (c *Census) Pods(hash string) []CountedPod {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []CountedPod
	for _, pod := range c.pods {
		if hash == "" || pod.Hash == hash {
			out = append(out, *pod)
		}
	}
	slices.SortFunc(out, func(a, b CountedPod) int { return a.Seen.Compare(b.Seen) })
	return out
}

// MostAtOnce is how many pods of a version, or of all without a hash, there were at the same time since the last call of Afresh. Those that
// are being deleted are none.
func (c *Census) MostAtOnce(hash string) int {
	return c.highest(func() map[string]int { return c.most }, hash)
}

// MostRunning is how many of them ran at the same time.
func (c *Census) MostRunning(hash string) int {
	return c.highest(func() map[string]int { return c.running }, hash)
}

func (c *Census) highest(of func() map[string]int, hash string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return of()[hash]
}

// Afresh forgets the highest numbers, and begins with those of now.
func (c *Census) Afresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.most)
	clear(c.running)
	c.tally()
}

// Addresses are those of all pods that there have been, each with its name.
func (c *Census) Addresses() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for _, pod := range c.pods {
		if pod.Address != "" {
			out[pod.Address] = pod.Name
		}
	}
	return out
}

// Versions are the hashes of all pods that there have been.
func (c *Census) Versions() []string {
	hashes := map[string]bool{}
	for _, pod := range c.Pods("") {
		hashes[pod.Hash] = true
	}
	return slices.Sorted(maps.Keys(hashes))
}

// Used is how many pods have come since a time, and how long there were pods since then, added up.
func (c *Census) Used(since time.Time) (came int, total time.Duration) {
	now := time.Now()
	for _, pod := range c.Pods("") {
		until := now
		if !pod.Left.IsZero() {
			until = pod.Left
		}
		from := since
		if pod.Seen.After(since) {
			came, from = came+1, pod.Seen
		}
		total += max(0, until.Sub(from))
	}
	return came, total
}
