package deployments

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
)

// troubles are the reasons for which a container waits that do not pass by themselves, as the kubelet
// has them. A first failure is none of them: only those after which it backs off.
var troubles = map[string]rollout.TroubleKind{
	"CrashLoopBackOff":           rollout.TroubleCrashLoop,
	"ImagePullBackOff":           rollout.TroubleImage,
	"InvalidImageName":           rollout.TroubleImage,
	"ErrImageNeverPull":          rollout.TroubleImage,
	"CreateContainerConfigError": rollout.TroubleConfig,
}

// reasonDeadline is what a Deployment's condition Progressing says when it has taken too long.
const reasonDeadline = "ProgressDeadlineExceeded"

// podLook is what a look at the pods of a canary has found.
type podLook struct {
	// of says which canary, in which state, and at when it was looked at.
	of      types.UID
	version string
	at      time.Time

	trouble *rollout.Trouble
	// readySince is when the newest of the ready pods became so; zero: none is.
	readySince time.Time
}

// PodsPeriod is how often pods that are not ready yet are asked for their trouble: they are not watched.
const PodsPeriod = 2 * time.Second

// podMemory keeps the last look at the pods of each canary.
type podMemory struct {
	mu    sync.Mutex
	looks map[types.NamespacedName]podLook
}

func (m *podMemory) last(key types.NamespacedName) podLook {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks[key]
}

func (m *podMemory) keep(key types.NamespacedName, look podLook) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.looks == nil {
		m.looks = map[types.NamespacedName]podLook{}
	}
	m.looks[key] = look
}

func (m *podMemory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.looks, key)
}

// lookAtPods looks at the pods of a canary, at most once in PodsPeriod. While all are ready, nothing can be
// new before the Deployment's status is.
func (f *Follower) lookAtPods(ctx context.Context, exs *v1alpha1.ExposedService, canary *appsv1.Deployment) (podLook, error) {
	key, now := client.ObjectKeyFromObject(exs), f.Clock.Now()
	last := f.pods.last(key)
	allReady := canary.Status.ReadyReplicas >= ptr.Deref(canary.Spec.Replicas, 1)
	if last.of == canary.UID && last.version == canary.ResourceVersion && (allReady || now.Sub(last.at).Abs() < PodsPeriod) {
		return last, nil
	}
	pods, err := f.podsOf(ctx, canary)
	if err != nil {
		return podLook{}, err
	}
	look := podLook{
		of: canary.UID, version: canary.ResourceVersion, at: now, trouble: troubleOf(canary, pods), readySince: newestReady(pods),
	}
	f.pods.keep(key, look)
	return look, nil
}

// podsOf reads the pods of the canary past Headgate's cache, for a cluster has many more pods than matter here,
// but from that of the API server.
func (f *Follower) podsOf(ctx context.Context, canary *appsv1.Deployment) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(canary.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("read the selector of Deployment %s: %w", canary.Name, err)
	}
	var list corev1.PodList
	if err := f.Reader.List(ctx, &list, client.InNamespace(canary.Namespace), client.MatchingLabelsSelector{Selector: selector},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}); err != nil {
		return nil, fmt.Errorf("list the pods of Deployment %s: %w", canary.Name, err)
	}
	return list.Items, nil
}

// troubleOf is what keeps a pod from running, or the Deployment from getting on.
func troubleOf(canary *appsv1.Deployment, pods []corev1.Pod) *rollout.Trouble {
	for i := range pods {
		if trouble := podTrouble(&pods[i]); trouble != nil {
			return trouble
		}
	}
	for _, c := range canary.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == reasonDeadline {
			return &rollout.Trouble{Kind: rollout.TroubleNeverReady, Words: c.Message}
		}
	}
	return nil
}

func podTrouble(pod *corev1.Pod) *rollout.Trouble {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range statuses {
			if c.State.Waiting == nil {
				continue
			}
			if kind, hard := troubles[c.State.Waiting.Reason]; hard {
				return &rollout.Trouble{Kind: kind, Words: fmt.Sprintf("container %s of pod %s: %s: %s",
					c.Name, pod.Name, c.State.Waiting.Reason, c.State.Waiting.Message)}
			}
		}
	}
	return nil
}

// newestReady is when the last of the ready pods became so; zero: none is.
func newestReady(pods []corev1.Pod) time.Time {
	var newest time.Time
	for i := range pods {
		for _, c := range pods[i].Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(newest) {
				newest = c.LastTransitionTime.Time
			}
		}
	}
	return newest
}
