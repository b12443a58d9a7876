package refs

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestPathsOfHTTPRoutesAreServicesAndMethods(t *testing.T) {
	service, method := `{"type":"Exact","service":"pay.Payments"}`, `{"type":"Exact","service":"pay.Payments","method":"Pay"}`
	for name, c := range map[string]struct {
		kind gwapiv1.PathMatchType
		path string
		want []string
	}{
		"every path":               {gwapiv1.PathMatchPathPrefix, "/", []string{""}},
		"a service":                {gwapiv1.PathMatchPathPrefix, "/pay.Payments", []string{service}},
		"a service, with a slash":  {gwapiv1.PathMatchPathPrefix, "/pay.Payments/", []string{service}},
		"a method":                 {gwapiv1.PathMatchPathPrefix, "/pay.Payments/Pay", []string{method}},
		"exactly a method":         {gwapiv1.PathMatchExact, "/pay.Payments/Pay", []string{method}},
		"a regular expression":     {gwapiv1.PathMatchRegularExpression, "/pay.*", []string{""}},
		"a path that no call has":  {gwapiv1.PathMatchExact, "/healthz", nil},
		"a longer path":            {gwapiv1.PathMatchPathPrefix, "/a/b/c", nil},
		"exactly the path of none": {gwapiv1.PathMatchExact, "/", nil},
	} {
		route := &gwapiv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "site"}}
		route.Spec.ParentRefs = []gwapiv1.ParentReference{{Name: "public", Namespace: ptr.To(gwapiv1.Namespace("infra"))}}
		route.Spec.Hostnames = []gwapiv1.Hostname{"a.example.com"}
		route.Spec.Rules = []gwapiv1.HTTPRouteRule{{Matches: []gwapiv1.HTTPRouteMatch{{Path: &gwapiv1.HTTPPathMatch{Type: &c.kind, Value: &c.path}}}}}
		got := ClaimsOfObject(route)
		switch {
		case c.want == nil && len(got) != 0:
			t.Errorf("%s: %+v", name, got)
		case c.want != nil && (len(got) != 1 || !slices.Equal(got[0].Matches, c.want) || got[0].Gateway != "infra/public" || got[0].Namespace != "web"):
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestARouteClaimsOfEachGatewayThatItNames(t *testing.T) {
	route := &gwapiv1.GRPCRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "site"}}
	route.Spec.ParentRefs = []gwapiv1.ParentReference{
		{Name: "public", Namespace: ptr.To(gwapiv1.Namespace("infra")), SectionName: ptr.To(gwapiv1.SectionName("grpc"))},
		{Name: "own"},
		{Name: "service", Kind: ptr.To(gwapiv1.Kind("Service"))},
	}
	got := ClaimsOfObject(route)
	if len(got) != 2 || got[0].Gateway != "infra/public" || got[0].Section != "grpc" || got[1].Gateway != "web/own" {
		t.Errorf("%+v", got)
	}
	for _, claims := range got {
		if !slices.Equal(claims.Hosts, []string{""}) || !slices.Equal(claims.Matches, []string{""}) {
			t.Errorf("without hosts and rules it claims %+v", claims)
		}
	}
}
