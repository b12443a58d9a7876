package shop

import (
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Behaviour is how the pods of an image behave. The zero value: ready at once, and gone as soon as they are deleted.
type Behaviour struct {
	// ReadyAfter is how long a pod takes from its start to be ready.
	ReadyAfter time.Duration
	// NeverReady: it runs, and is never ready.
	NeverReady bool
	// Waiting: its container does not run, for this reason: CrashLoopBackOff, ImagePullBackOff. Empty: it does.
	Waiting string
	// Unschedulable is why the scheduler finds no node for it; empty: it does. It is for pods that are not started yet.
	Unschedulable string
	// EndsAfter is how long it takes to end.
	EndsAfter time.Duration
}

// AnnotationAddress is the address that a pod gets; without it one that no other pod of the test binary has.
const AnnotationAddress = "shop.test/address"

var addresses atomic.Uint32

// newAddress is one of 10.64.0.0/10.
func newAddress() string {
	n := addresses.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", 64+(n>>16)%64, n>>8&0xff, n&0xff)
}

// status is what a pod's status is to be at a time, so long after its start, and how long it is that; 0: for good. What stays keeps
// its times.
func (b Behaviour) status(pod *corev1.Pod, at time.Time, age time.Duration) (corev1.PodStatus, time.Duration) {
	now := metav1.NewTime(at)
	status := *pod.Status.DeepCopy()
	if pod.Spec.NodeName == "" {
		setCondition(&status, now, corev1.PodScheduled, false, corev1.PodReasonUnschedulable, b.Unschedulable)
		return status, 0
	}
	if status.StartTime == nil {
		status.StartTime = &now
	}
	if status.PodIP == "" {
		status.PodIP = pod.Annotations[AnnotationAddress]
		if status.PodIP == "" {
			status.PodIP = newAddress()
		}
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	runs := b.Waiting == ""
	left := b.ReadyAfter - age
	ready := runs && !b.NeverReady && left <= 0
	status.Phase = corev1.PodRunning
	if b.Waiting == "ImagePullBackOff" {
		status.Phase = corev1.PodPending
	}
	old := status.ContainerStatuses
	status.ContainerStatuses = nil
	for i, container := range pod.Spec.Containers {
		c := corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image, Ready: ready, Started: ptr.To(runs),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *status.StartTime}},
		}
		if !runs {
			c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: b.Waiting, Message: "as the test wants it"}}
		}
		if b.Waiting == "CrashLoopBackOff" {
			c.RestartCount = 3
			c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: *status.StartTime, FinishedAt: now}
			if i < len(old) && old[i].LastTerminationState.Terminated != nil {
				c.LastTerminationState = old[i].LastTerminationState
			}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, c)
	}
	setCondition(&status, now, corev1.PodScheduled, true, "", "")
	setCondition(&status, now, corev1.PodInitialized, true, "", "")
	reason, message := "", ""
	if !ready {
		reason, message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", pod.Spec.Containers[0].Name)
	}
	setCondition(&status, now, corev1.ContainersReady, ready, reason, message)
	setCondition(&status, now, corev1.PodReady, ready, reason, message)
	if ready || !runs || b.NeverReady {
		left = 0
	}
	return status, left
}

func setCondition(status *corev1.PodStatus, now metav1.Time, kind corev1.PodConditionType, is bool, reason, message string) {
	condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: now}
	if is {
		condition.Status = corev1.ConditionTrue
	}
	for i, c := range status.Conditions {
		if c.Type != kind {
			continue
		}
		if c.Status == condition.Status {
			condition.LastTransitionTime = c.LastTransitionTime
		}
		condition.LastProbeTime, condition.ObservedGeneration = c.LastProbeTime, c.ObservedGeneration
		status.Conditions[i] = condition
		return
	}
	status.Conditions = append(status.Conditions, condition)
}
