package scene

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestACensusRemembersPodsThatAreGone(t *testing.T) {
	c := &Census{pods: map[types.UID]*CountedPod{}, most: map[string]int{}, running: map[string]int{}}
	pod := func(name, hash string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash}},
			Status:     corev1.PodStatus{Phase: phase, PodIP: "10.0.0." + name},
		}
	}
	c.note(pod("1", "old", corev1.PodRunning), false)
	c.note(pod("2", "old", corev1.PodRunning), false)
	c.note(pod("3", "new", corev1.PodPending), false)
	leaving := pod("1", "old", corev1.PodRunning)
	leaving.DeletionTimestamp = ptr.To(metav1.Now())
	c.note(leaving, false)
	c.note(pod("3", "new", corev1.PodRunning), false)
	c.note(leaving, true)

	if n := len(c.Pods("")); n != 3 {
		t.Errorf("%d pods, want 3", n)
	}
	if pods := c.Pods("new"); len(pods) != 1 || pods[0].Name != "3" || !pods[0].Running {
		t.Errorf("the new version has %+v", pods)
	}
	if there, running := c.MostAtOnce(""), c.MostRunning(""); there != 3 || running != 2 {
		t.Errorf("%d pods at once, %d of them running, want 3 and 2", there, running)
	}
	c.Afresh()
	if there := c.MostAtOnce("old"); there != 1 {
		t.Errorf("%d old pods at once by now, want 1", there)
	}
}

func TestACensusAddsUpHowLongPodsWereThere(t *testing.T) {
	now := time.Now()
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	c := &Census{pods: map[types.UID]*CountedPod{
		"stays":        {Seen: ago(100)},
		"left":         {Seen: ago(100), Left: ago(5)},
		"came":         {Seen: ago(6)},
		"long gone":    {Seen: ago(100), Left: ago(50)},
		"came in vain": {Seen: ago(8), Left: ago(6)},
	}}
	came, total := c.Used(ago(10))
	// 10 s, 5 s, 6 s, none, and 2 s.
	if came != 2 || total.Round(time.Second) != 23*time.Second {
		t.Errorf("%d pods came, and there were %s, want 2 and 23s", came, total)
	}
}
