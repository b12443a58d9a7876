package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPrometheusIsToldOfThePodsThatRun(t *testing.T) {
	pod := func(app, version, address string, phase corev1.PodPhase) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bench", Labels: map[string]string{"app": app, versionLabel: version}},
			Status:     corev1.PodStatus{PodIP: address, Phase: phase},
		}
	}
	got := targetsOf([]corev1.Pod{
		pod("greeter", "1", "10.0.0.7", corev1.PodRunning),
		pod("greeter-canary", "2", "10.0.0.8", corev1.PodRunning),
		pod("greeter", "1", "", corev1.PodPending),
		pod("greeter", "1", "10.0.0.9", corev1.PodSucceeded),
	})
	want := []targets{
		{Targets: []string{"10.0.0.7:8080"}, Labels: map[string]string{"namespace": "bench", "workload": "greeter", "version": "1"}},
		{Targets: []string{"10.0.0.8:8080"}, Labels: map[string]string{"namespace": "bench", "workload": "greeter-canary", "version": "2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}
