package exposure

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
)

// claimant is an ExposedService on Gateway infra/public.
func claimant(name string, age time.Duration, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age)),
		},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{"a.example.com"},
			Gateway:   &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}},
		},
	}
	for _, f := range with {
		f(exs)
	}
	return exs
}

func section(name string) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Gateway.ParentRef.SectionName = &name }
}

func matching(list ...v1alpha1.Match) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Rules = []v1alpha1.Rule{{Matches: list}} }
}

func TestRouteConflict(t *testing.T) {
	hello := v1alpha1.Match{Type: v1alpha1.MatchExact, Service: ptr.To("helloworld.Greeter"), Method: ptr.To("SayHello")}
	bye := v1alpha1.Match{Type: v1alpha1.MatchExact, Service: ptr.To("helloworld.Greeter"), Method: ptr.To("SayBye")}
	headers := func(names ...string) v1alpha1.Match {
		var match v1alpha1.Match
		for _, name := range names {
			match.Headers = append(match.Headers, v1alpha1.HeaderMatch{Name: name, Value: "x"})
		}
		return match
	}
	for name, c := range map[string]struct {
		exs    *v1alpha1.ExposedService
		others []*v1alpha1.ExposedService
		// want is the name of the one that keeps the route; empty: no conflict.
		want string
	}{
		"same host, no rules":               {claimant("new", 0), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, "old"},
		"the older one keeps it":            {claimant("old", time.Hour), []*v1alpha1.ExposedService{claimant("new", 0)}, ""},
		"the same age: by name":             {claimant("b", 0), []*v1alpha1.ExposedService{claimant("a", 0)}, "a"},
		"the same age, first by name":       {claimant("a", 0), []*v1alpha1.ExposedService{claimant("b", 0)}, ""},
		"the oldest of several is named":    {claimant("new", 0), []*v1alpha1.ExposedService{claimant("old", time.Hour), claimant("oldest", 2*time.Hour)}, "oldest"},
		"another host":                      {claimant("new", 0, hosts("b.example.com")), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, ""},
		"one host of several":               {claimant("new", 0, hosts("b.example.com", "a.example.com")), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, "old"},
		"every host against one":            {claimant("new", 0, hosts()), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, ""},
		"every host against every host":     {claimant("new", 0, hosts()), []*v1alpha1.ExposedService{claimant("old", time.Hour, hosts())}, "old"},
		"different listeners":               {claimant("new", 0, section("a")), []*v1alpha1.ExposedService{claimant("old", time.Hour, section("b"))}, ""},
		"the same listener":                 {claimant("new", 0, section("a")), []*v1alpha1.ExposedService{claimant("old", time.Hour, section("a"))}, "old"},
		"one listener against all":          {claimant("new", 0, section("a")), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, "old"},
		"another Gateway":                   {claimant("new", 0, on("shop", "other")), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, ""},
		"an identical match":                {claimant("new", 0, matching(bye, hello)), []*v1alpha1.ExposedService{claimant("old", time.Hour, matching(hello))}, "old"},
		"different matches":                 {claimant("new", 0, matching(bye)), []*v1alpha1.ExposedService{claimant("old", time.Hour, matching(hello))}, ""},
		"a match against every call":        {claimant("new", 0, matching(bye)), []*v1alpha1.ExposedService{claimant("old", time.Hour)}, ""},
		"headers in another order":          {claimant("new", 0, matching(headers("a", "b"))), []*v1alpha1.ExposedService{claimant("old", time.Hour, matching(headers("b", "a")))}, "old"},
		"itself is nobody to conflict with": {claimant("new", 0), []*v1alpha1.ExposedService{claimant("new", 0)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			problem := routeConflict(c.exs, c.others)
			switch {
			case c.want == "" && problem != nil:
				t.Errorf("conflict: %s", problem.Message)
			case c.want != "" && (problem == nil || !strings.Contains(problem.Message, "shop/"+c.want+",")):
				t.Errorf("problem is %+v, want one with %s", problem, c.want)
			}
		})
	}
}

// TestConflictsAreFoundByTheirClaims: two that conflict share a value of the index, so that neither
// the conflict nor its end can be missed; and of two that conflict exactly one gives way.
func TestConflictsAreFoundByTheirClaims(t *testing.T) {
	draw := func(t *rapid.T, name string) *v1alpha1.ExposedService {
		return claimant(name, time.Duration(rapid.IntRange(0, 1).Draw(t, "age"))*time.Hour, func(exs *v1alpha1.ExposedService) {
			exs.Spec.Hostnames = rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.Hostname{"a", "b", "c"}), 0, 2, rapid.ID).Draw(t, "hosts")
			if rapid.Bool().Draw(t, "section") {
				section(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"))(exs)
			}
			if rapid.Bool().Draw(t, "rules") {
				matching(v1alpha1.Match{Service: ptr.To(rapid.SampledFrom([]string{"s", "t"}).Draw(t, "service"))})(exs)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		aGivesWay, bGivesWay := routeConflict(a, []*v1alpha1.ExposedService{b}), routeConflict(b, []*v1alpha1.ExposedService{a})
		if aGivesWay != nil && bGivesWay != nil {
			t.Fatalf("both give way: %v, %v", aGivesWay, bGivesWay)
		}
		shared := slices.ContainsFunc(refs.RouteClaims(a), func(claim string) bool { return slices.Contains(refs.RouteClaims(b), claim) })
		if conflict := aGivesWay != nil || bGivesWay != nil; conflict != (shared && sectionsOverlap(a, b)) {
			t.Fatalf("conflict %v, but shared claims %v", conflict, shared)
		}
	})
}

func hosts(list ...v1alpha1.Hostname) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Hostnames = list }
}

func on(gatewayNamespace, gatewayName string) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: gatewayName, Namespace: &gatewayNamespace}}
	}
}
