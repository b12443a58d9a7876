package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// podsOf reads the pods of the canary past the cache: a cluster has many more pods than matter here.
func (r *exposureReconciler) podsOf(ctx context.Context, canary *appsv1.Deployment) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(canary.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("read the selector of Deployment %s: %w", canary.Name, err)
	}
	var list corev1.PodList
	if err := r.reader.List(ctx, &list, client.InNamespace(canary.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
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
