package scene

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/headgate/headgate/test/apiserver"
)

// TestAccidentsSpareWhoHasNoProcess has an application of one pod that was made and does not run yet. What ends or stops processes
// passes it by; an order that it should have followed fails.
func TestAccidentsSpareWhoHasNoProcess(t *testing.T) {
	t.Parallel()
	config, kube := apiserver.Bare(t)
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Client: kube, rest: config, core: core}
	const space, app = "default", "greeter"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: app, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: app, Image: "greeter"}}},
	}
	if err := kube.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if err := c.Crash(t.Context(), space, app); err != nil {
		t.Error("crash:", err)
	}
	if err := c.Freeze(t.Context(), space, app, time.Second); err != nil {
		t.Error("freeze:", err)
	}
	if err := c.Order(t.Context(), space, app, "not-ready"); err == nil {
		t.Error("nobody said that the pod could not follow the order not-ready")
	}
}
