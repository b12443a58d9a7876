package scene

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPrometheusIsToldOfThePodsThatRun(t *testing.T) {
	pod := func(name, app, version, address string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bench", Name: name, Labels: map[string]string{"app": app, labelVersion: version}},
			Status:     corev1.PodStatus{PodIP: address, Phase: phase},
		}
	}
	got := TargetsOf([]corev1.Pod{
		pod("greeter-5d4f-a", "greeter", "1", "10.0.0.7", corev1.PodRunning),
		pod("greeter-7c9d-b", "greeter", "2", "10.0.0.8", corev1.PodRunning),
		pod("greeter-5d4f-c", "greeter", "1", "", corev1.PodPending),
		pod("greeter-5d4f-d", "greeter", "1", "10.0.0.9", corev1.PodSucceeded),
	})
	want := []Targets{
		{Targets: []string{"10.0.0.7:8080"}, Labels: map[string]string{"namespace": "bench", "pod": "greeter-5d4f-a", "workload": "greeter", "version": "1"}},
		{Targets: []string{"10.0.0.8:8080"}, Labels: map[string]string{"namespace": "bench", "pod": "greeter-7c9d-b", "workload": "greeter", "version": "2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}
