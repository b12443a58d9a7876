package deployments

import (
	"context"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// selectorLists notes what is listed, and with which options.
type selectorLists struct {
	client.Client
	services []corev1.Service
	lists    int
	copied   bool
}

func (c *selectorLists) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.lists++
	if services, ok := list.(*corev1.ServiceList); ok {
		c.copied = !slices.Contains(options, client.ListOption(client.UnsafeDisableDeepCopy))
		services.Items = c.services
	}
	return nil
}

// All Services and PodDisruptionBudgets of the namespace are read when the canary is made anew, and in no run after that.
func TestOtherSelectorsAreReadWhenTheCanaryIsMadeAnew(t *testing.T) {
	s := newScene(t)
	c := &selectorLists{services: []corev1.Service{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "svc"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "svc"}},
	}}}
	s.Objects = kube.Objects{Client: c, Reader: c}
	d := newDeployment("svc", 2)
	d.Spec.Template = templateOf("app:2")
	d.Spec.Template.Labels = map[string]string{"app": "svc"}
	revision, err := workload.Revision(&d.Spec.Template, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		live string
		want int
	}{{"none is there", "", 2}, {"one of another revision is there", "older", 2}, {"it is there", revision, 0}} {
		c.lists = 0
		run := &following{
			Follower: s.Follower, exs: s.exs, out: &kube.Step{}, state: State{deployment: d},
			intents: rollout.Intents{Canary: rollout.CanaryIntent{Present: true, Revision: revision, Replicas: 1}},
		}
		if step.live != "" {
			run.state.canary = s.state.canary
			run.state.canary.Annotations = map[string]string{annotationRevision: step.live}
			run.state.canary.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "svc-canary"}}
		}
		canary, err := run.plannedCanary(t.Context())
		if err != nil || canary == nil || len(run.out.Problems) > 0 {
			t.Fatalf("%s: %v, %v, %+v", step.name, canary, err, run.out)
		}
		if c.lists != step.want || c.copied {
			t.Errorf("%s: %d lists, want %d; copied: %t", step.name, c.lists, step.want, c.copied)
		}
		if got := selectedLabel(canary); got != "svc-canary" {
			t.Errorf("%s: pods are labelled %s", step.name, got)
		}
	}
}

func selectedLabel(canary *appsv1.Deployment) string { return canary.Spec.Template.Labels["app"] }
