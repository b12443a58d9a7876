package deployments

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestPausersAreWhoOwnsSpecPaused(t *testing.T) {
	owns := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const paused = `{"f:spec":{"f:paused":{},"f:replicas":{}}}`
	for name, test := range map[string]struct {
		paused  bool
		marked  bool
		entries []metav1.ManagedFieldsEntry
		ours    bool
		other   string
	}{
		"not paused":                  {false, false, []metav1.ManagedFieldsEntry{owns("kubectl", paused)}, false, ""},
		"by Headgate":                 {true, false, []metav1.ManagedFieldsEntry{owns(FieldManager, paused)}, true, ""},
		"by somebody":                 {true, false, []metav1.ManagedFieldsEntry{owns("kubectl-rollout", paused)}, false, "kubectl-rollout"},
		"by both":                     {true, false, []metav1.ManagedFieldsEntry{owns(FieldManager, paused), owns("argocd", paused)}, true, "argocd"},
		"others own other fields":     {true, false, []metav1.ManagedFieldsEntry{owns("kubectl", `{"f:spec":{"f:replicas":{}}}`), owns(FieldManager, paused)}, true, ""},
		"an annotation called paused": {true, false, []metav1.ManagedFieldsEntry{owns("kubectl", `{"f:metadata":{"f:annotations":{"f:paused":{}}}}`), owns(FieldManager, paused)}, true, ""},
		"by nobody who says so":       {true, false, nil, false, "somebody"},
		"by the admission policy":     {true, true, nil, true, ""},
		"by somebody, and marked":     {true, true, []metav1.ManagedFieldsEntry{owns("kubectl-rollout", paused)}, false, "kubectl-rollout"},
		"by a rollout that left it":   {true, false, []metav1.ManagedFieldsEntry{owns(leftManager, paused)}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{ManagedFields: test.entries}, Spec: appsv1.DeploymentSpec{Paused: test.paused}}
			if test.marked {
				d.Labels = map[string]string{v1alpha1.LabelRollout: "greeter"}
			}
			for range 2 { // as caches do
				if _, err := KeepPausers(d); err != nil {
					t.Fatal(err)
				}
			}
			for _, entry := range d.ManagedFields {
				if entry.FieldsV1.GetRawString() != fieldPaused {
					t.Errorf("the cache keeps %s", entry.FieldsV1)
				}
			}
			if ours, other := pausers(d); ours != test.ours || other != test.other {
				t.Errorf("ours %t, other %q", ours, other)
			}
		})
	}
}
