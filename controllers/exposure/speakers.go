package exposure

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
)

// KeepSpeakers strips an ExposedService that goes into the cache, and keeps who owns the annotations by which people speak to a rollout.
func KeepSpeakers(strip func(any) (any, error)) func(any) (any, error) {
	return func(object any) (any, error) {
		exs, ok := object.(*v1alpha1.ExposedService)
		if !ok {
			return strip(object)
		}
		var kept []metav1.ManagedFieldsEntry
		for _, entry := range exs.ManagedFields {
			owned := spokenBy(entry.FieldsV1)
			if len(owned) == 0 {
				continue
			}
			fields := map[string]map[string]map[string]struct{}{"f:metadata": {"f:annotations": {}}}
			for _, name := range owned {
				fields["f:metadata"]["f:annotations"]["f:"+name] = struct{}{}
			}
			text, err := json.Marshal(fields)
			if err != nil {
				continue
			}
			kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, FieldsV1: metav1.NewFieldsV1(string(text))})
		}
		stripped, err := strip(exs)
		exs.ManagedFields = kept
		return stripped, err
	}
}

// speakers are the field managers that have set the annotations, by the annotations' names. Of several that own the same, it is the last.
func speakers(exs *v1alpha1.ExposedService) map[string]string {
	out := map[string]string{}
	for _, entry := range exs.ManagedFields {
		for _, name := range spokenBy(entry.FieldsV1) {
			out[name] = entry.Manager
		}
	}
	return out
}

// spokenBy are those of the annotations that are among the fields.
func spokenBy(fields *metav1.FieldsV1) []string {
	if fields == nil {
		return nil
	}
	var owned struct {
		Metadata struct {
			Annotations map[string]json.RawMessage `json:"f:annotations"`
		} `json:"f:metadata"`
	}
	if json.Unmarshal(fields.GetRawBytes(), &owned) != nil {
		return nil
	}
	return slices.DeleteFunc(refs.Spoken(), func(name string) bool {
		_, has := owned.Metadata.Annotations["f:"+name]
		return !has
	})
}
