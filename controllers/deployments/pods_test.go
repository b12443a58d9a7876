package deployments

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/rollout"
)

func waiting(reason string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "words"}},
	}}}}
}

func conditioned(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, message string) *corev1.Pod {
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: kind, Status: status, Reason: "Reason", Message: message, LastTransitionTime: metav1.NewTime(time.Unix(int64(len(message)), 0)),
	})
	return pod
}

func ready() *corev1.Pod {
	return conditioned(&corev1.Pod{}, corev1.PodReady, corev1.ConditionTrue, "")
}

func ended(restarts int32) *corev1.Pod {
	pod := waiting("")
	pod.Status.ContainerStatuses[0].RestartCount = restarts
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}
	return pod
}

func TestOnlyCrashesAreTrouble(t *testing.T) {
	evicted, deleted := waiting(reasonCrashLoop), waiting(reasonCrashLoop)
	evicted.Status.Reason = reasonEvicted
	deleted.DeletionTimestamp = &metav1.Time{}
	for name, c := range map[string]struct {
		pods []*corev1.Pod
		want rollout.TroubleKind
	}{
		"crashes":                     {[]*corev1.Pod{waiting(reasonCrashLoop)}, rollout.TroubleCrashLoop},
		"ends again and again":        {[]*corev1.Pod{ended(2)}, rollout.TroubleCrashLoop},
		"has ended once":              {[]*corev1.Pod{ended(0)}, ""},
		"an impossible image":         {[]*corev1.Pod{waiting(reasonImageName)}, rollout.TroubleImage},
		"an image that does not come": {[]*corev1.Pod{waiting("ImagePullBackOff")}, ""},
		"a Secret that is not there":  {[]*corev1.Pod{waiting("CreateContainerConfigError")}, ""},
		"one of several":              {[]*corev1.Pod{waiting(reasonCrashLoop), ready(), ready()}, ""},
		"as many as run":              {[]*corev1.Pod{waiting(reasonCrashLoop), ready()}, ""},
		"most of them":                {[]*corev1.Pod{waiting(reasonCrashLoop), waiting(reasonCrashLoop), ready()}, rollout.TroubleCrashLoop},
		"evicted":                     {[]*corev1.Pod{evicted}, ""},
		"deleted":                     {[]*corev1.Pod{deleted}, ""},
		"drained":                     {[]*corev1.Pod{conditioned(waiting(reasonCrashLoop), corev1.DisruptionTarget, corev1.ConditionTrue, "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := findingOf(&appsv1.ReplicaSet{}, c.pods).trouble
			if (got == nil) != (c.want == "") || got != nil && (got.Kind != c.want || got.Words == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWhatPodsWaitForIsSaidInTheWordsOfKubernetes(t *testing.T) {
	quota := &appsv1.ReplicaSet{Status: appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: pods",
	}}}}
	for name, c := range map[string]struct {
		set  *appsv1.ReplicaSet
		pod  *corev1.Pod
		want string
	}{
		"quota":     {quota, ready(), "exceeded quota: pods"},
		"scheduler": {nil, conditioned(waiting(""), corev1.PodScheduled, corev1.ConditionFalse, "0/3 nodes"), "pod a: Reason: 0/3 nodes"},
		"image":     {nil, waiting("ErrImagePull"), "pod a: container app: ErrImagePull: words"},
		"probe":     {nil, conditioned(waiting(""), corev1.ContainersReady, corev1.ConditionFalse, "unready"), "pod a: unready"},
		"nothing":   {nil, ready(), ""},
		"a crash":   {nil, waiting(reasonCrashLoop), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.set == nil {
				c.set = &appsv1.ReplicaSet{}
			}
			if got := findingOf(c.set, []*corev1.Pod{c.pod}).waits; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestReadySinceIsOfTheNewest(t *testing.T) {
	old, young := conditioned(&corev1.Pod{}, corev1.PodReady, corev1.ConditionTrue, "1"), conditioned(&corev1.Pod{}, corev1.PodReady, corev1.ConditionTrue, "22")
	not := conditioned(&corev1.Pod{}, corev1.PodReady, corev1.ConditionFalse, "333")
	if got := findingOf(&appsv1.ReplicaSet{}, []*corev1.Pod{young, old, not}).readySince; !got.Equal(time.Unix(2, 0)) {
		t.Errorf("%s", got)
	}
}
