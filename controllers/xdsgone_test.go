package controllers

import (
	"fmt"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/xdsfeed"
)

func TestTheReportsOfAReplicaThatIsGoneAreRemoved(t *testing.T) {
	w := newWorld(t)
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs)
	w.create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "alive", Namespace: w.namespace},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "headgate", Image: "headgate"}}},
	})
	for i, name := range []string{"self", "alive", "gone"} {
		report := &v1alpha1.XDSReplica{Name: name, Clients: int32(i + 1), Acknowledged: int32(i)}
		if err := xdsfeed.ApplyReplica(t.Context(), w.kube, client.ObjectKeyFromObject(exs), name, report); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		if err := w.read(exs); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range exs.Status.XDS.Replicas {
			out = append(out, fmt.Sprintf("%s %d", r.Name, r.Clients))
		}
		return fmt.Sprint(out)
	}
	if got := names(); got != "[self 1 alive 2 gone 3]" {
		t.Fatalf("the reports are %s", got)
	}
	g := &xdsfeed.GoneReplicas{
		Cached: client.NewNamespacedClient(w.kube, w.namespace), Reader: w.kube, Client: w.kube,
		Namespace: w.namespace, Self: "self", Clock: clock.RealClock{}, Log: logr.Discard(),
	}
	for range 2 {
		if err := g.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := names(); got != "[self 1 alive 2]" {
			t.Errorf("the reports are %s", got)
		}
	}
}
