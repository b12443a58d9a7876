package deployments

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/headgate/headgate/rollout"
)

// podsFinding is what the pods of a version say.
type podsFinding struct {
	// trouble is what keeps them from running and does not pass by itself; nil: nothing does.
	trouble *rollout.Trouble
	// waits is what they wait for, in the words of Kubernetes; empty: nothing.
	waits string
	// readySince is when the newest of the ready pods became so; zero: none is.
	readySince time.Time
}

// passing are the reasons for which a container waits that pass when somebody or something else acts, as the kubelet has them: a registry
// answers again, a Secret is made.
var passing = []string{
	"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

const (
	reasonCrashLoop = "CrashLoopBackOff"
	reasonImageName = "InvalidImageName"
	reasonEvicted   = "Evicted"
	// crashedOften is how often a container that is not ready has to have ended for that to be its habit.
	crashedOften = 2
)

// findingOf is what the pods of a ReplicaSet say.
func findingOf(set *appsv1.ReplicaSet, pods []*corev1.Pod) podsFinding {
	out := podsFinding{readySince: newestReady(pods), trouble: troubleOf(pods)}
	for _, c := range set.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			out.waits = c.Message
			return out
		}
	}
	for _, pod := range pods {
		if words := waitOf(pod); words != "" {
			out.waits = "pod " + pod.Name + ": " + words
			return out
		}
	}
	return out
}

// troubleOf is that the pods crash, or that their image can have no such name. One that crashes beside others that are ready says nothing
// of the version: its node may be broken. Those that are evicted or drained say nothing at all.
func troubleOf(pods []*corev1.Pod) *rollout.Trouble {
	var first *rollout.Trouble
	crashing, ready := 0, 0
	for _, pod := range pods {
		if leaves(pod) {
			continue
		}
		if isReady(pod) {
			ready++
			continue
		}
		if trouble := troubleOfPod(pod); trouble != nil {
			crashing++
			if first == nil {
				first = trouble
			}
		}
	}
	if crashing <= ready {
		return nil
	}
	return first
}

// leaves: the pod is being deleted, evicted, or drained.
func leaves(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Status.Reason == reasonEvicted || isTrue(pod, corev1.DisruptionTarget)
}

func isReady(pod *corev1.Pod) bool { return isTrue(pod, corev1.PodReady) }

func isTrue(pod *corev1.Pod, condition corev1.PodConditionType) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}

func containersOf(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// troubleOfPod is that a container of it ends again and again, or has an impossible image; nil: neither.
func troubleOfPod(pod *corev1.Pod) *rollout.Trouble {
	for _, c := range containersOf(pod) {
		words := func(reason, message string) string {
			return fmt.Sprintf("container %s of pod %s: %s: %s", c.Name, pod.Name, reason, message)
		}
		switch waiting := c.State.Waiting; {
		case waiting != nil && waiting.Reason == reasonImageName:
			return &rollout.Trouble{Kind: rollout.TroubleImage, Words: words(waiting.Reason, waiting.Message)}
		case waiting != nil && waiting.Reason == reasonCrashLoop:
			return &rollout.Trouble{Kind: rollout.TroubleCrashLoop, Words: words(waiting.Reason, waiting.Message)}
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0 && c.RestartCount >= crashedOften:
			return &rollout.Trouble{Kind: rollout.TroubleCrashLoop, Words: words(c.State.Terminated.Reason,
				fmt.Sprintf("ended with %d, after %d restarts", c.State.Terminated.ExitCode, c.RestartCount))}
		}
	}
	return nil
}

// waitOf is what a pod waits for; empty: nothing.
func waitOf(pod *corev1.Pod) string {
	if leaves(pod) || isReady(pod) {
		return ""
	}
	unready := ""
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			return c.Reason + ": " + c.Message
		case c.Type == corev1.ContainersReady && c.Status == corev1.ConditionFalse:
			unready = c.Message
		}
	}
	for _, c := range containersOf(pod) {
		if w := c.State.Waiting; w != nil && slices.Contains(passing, w.Reason) {
			return fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, w.Message)
		}
	}
	return unready
}

// newestReady is when the last of the ready pods became so; zero: none is.
func newestReady(pods []*corev1.Pod) time.Time {
	var newest time.Time
	for _, pod := range pods {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(newest) {
				newest = c.LastTransitionTime.Time
			}
		}
	}
	return newest
}
