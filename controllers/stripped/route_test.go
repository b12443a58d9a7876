package stripped

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/controllers/refs"
)

func TestAStrippedHTTPRouteClaimsWhatItDid(t *testing.T) {
	route := &gwapiv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "site", Annotations: map[string]string{"a": "b"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}},
		Spec: gwapiv1.HTTPRouteSpec{
			CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{{Name: "public"}}},
			Hostnames:       []gwapiv1.Hostname{"a.example.com"},
			Rules: []gwapiv1.HTTPRouteRule{{
				Matches:     []gwapiv1.HTTPRouteMatch{{Path: &gwapiv1.HTTPPathMatch{Value: ptr.To("/pay.Payments")}, Method: ptr.To(gwapiv1.HTTPMethodGet)}},
				BackendRefs: []gwapiv1.HTTPBackendRef{{}},
			}, {}},
		},
		Status: gwapiv1.HTTPRouteStatus{RouteStatus: gwapiv1.RouteStatus{Parents: []gwapiv1.RouteParentStatus{{
			ParentRef: gwapiv1.ParentReference{Name: "public"},
			Conditions: []metav1.Condition{
				{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "NotAllowedByListeners", Message: "no", ObservedGeneration: 2}, {Type: "ResolvedRefs"},
			},
		}}}},
	}
	before := refs.ClaimsOfObject(route)
	got := strip(t, New().Strip, route).(*gwapiv1.HTTPRoute)
	if !equality.Semantic.DeepEqual(refs.ClaimsOfObject(got), before) {
		t.Errorf("it claims %+v, and did %+v", refs.ClaimsOfObject(got), before)
	}
	if len(got.Spec.Rules[0].BackendRefs) > 0 || len(got.ManagedFields) > 0 || len(got.Annotations) > 0 {
		t.Errorf("it has kept %+v", got)
	}
	conditions := got.Status.Parents[0].Conditions
	if len(conditions) != 1 || conditions[0] != (metav1.Condition{Type: "Accepted", Status: metav1.ConditionFalse, ObservedGeneration: 2}) {
		t.Errorf("its conditions are %+v", conditions)
	}
}
