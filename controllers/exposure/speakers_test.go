package exposure

import (
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestWhoHasSpokenIsKeptAndNothingElse(t *testing.T) {
	exs := &v1alpha1.ExposedService{}
	exs.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: "argocd", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:backends":{}},"f:metadata":{"f:annotations":{"f:team":{}}}}`)},
		{Manager: "kubectl-annotate", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:headgate.dev/promote":{},"f:note":{}}}}`)},
		{Manager: "broken", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":[]}`)},
		{Manager: "nothing"},
	}
	strip := func(object any) (any, error) {
		object.(*v1alpha1.ExposedService).ManagedFields = nil
		return object, nil
	}
	want := map[string]string{v1alpha1.AnnotationPromote: "kubectl-annotate"}
	for range 2 { // A cache may strip again what it has.
		if _, err := KeepSpeakers(strip)(exs); err != nil {
			t.Fatal(err)
		}
		if got := speakers(exs); !maps.Equal(got, want) || len(exs.ManagedFields) != 1 {
			t.Errorf("%v, %+v", got, exs.ManagedFields)
		}
	}
	if got := exs.ManagedFields[0].FieldsV1.GetRawString(); got != `{"f:metadata":{"f:annotations":{"f:headgate.dev/promote":{}}}}` {
		t.Errorf("kept %s", got)
	}
}
