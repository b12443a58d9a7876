package deployments

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

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

// PodsPeriod is how often pods that are not ready yet are asked for their trouble: they are not watched.
const PodsPeriod = 2 * time.Second

// podsTrouble is what keeps one of the pods from running; nil: nothing does.
func podsTrouble(pods []corev1.Pod) *rollout.Trouble {
	for i := range pods {
		if trouble := podTrouble(&pods[i]); trouble != nil {
			return trouble
		}
	}
	return nil
}

// lateTrouble is that a Deployment has taken longer than its progress deadline; nil: it has not.
func lateTrouble(canary *appsv1.Deployment) *rollout.Trouble {
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
