package exposure

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// wanting is an ExposedService on Gateway infra/public.
func wanting(name string, age time.Duration, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(name), Generation: 2,
			CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age)),
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

func hosts(list ...v1alpha1.Hostname) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Hostnames = list }
}

func on(gatewayNamespace, gatewayName string) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: gatewayName, Namespace: &gatewayNamespace}}
	}
}

// said is a condition that was made from a generation.
func said(generation int64, conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		exs.Status.Conditions = append(exs.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: status, Reason: string(reason), ObservedGeneration: generation,
		})
	}
}

func deleted(exs *v1alpha1.ExposedService) { exs.DeletionTimestamp = ptr.To(metav1.Now()) }

// routeOf is what Headgate makes of the hosts and matches, as the API server stores it.
func routeOf(exs *v1alpha1.ExposedService, age time.Duration) *gwapiv1.GRPCRoute {
	route := &gwapiv1.GRPCRoute{ObjectMeta: metav1.ObjectMeta{
		Namespace: exs.Namespace, Name: exs.Name, Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(2_000_000, 0).Add(-age)),
	}}
	parent := gwapiv1.ParentReference{Name: gwapiv1.ObjectName(exs.Spec.Gateway.ParentRef.Name)}
	parent.Namespace = (*gwapiv1.Namespace)(exs.Spec.Gateway.ParentRef.Namespace)
	parent.SectionName = (*gwapiv1.SectionName)(exs.Spec.Gateway.ParentRef.SectionName)
	route.Spec.ParentRefs = []gwapiv1.ParentReference{parent}
	for _, host := range exs.Spec.Hostnames {
		route.Spec.Hostnames = append(route.Spec.Hostnames, gwapiv1.Hostname(host))
	}
	rule := gwapiv1.GRPCRouteRule{}
	for _, spec := range exs.Spec.Rules {
		for _, match := range spec.Matches {
			out := gwapiv1.GRPCRouteMatch{}
			if match.Service != nil || match.Method != nil {
				out.Method = &gwapiv1.GRPCMethodMatch{Type: ptr.To(gwapiv1.GRPCMethodMatchExact), Service: match.Service, Method: match.Method}
			}
			for _, header := range match.Headers {
				out.Headers = append(out.Headers, gwapiv1.GRPCHeaderMatch{
					Type: ptr.To(gwapiv1.GRPCHeaderMatchExact), Name: gwapiv1.GRPCHeaderName(header.Name), Value: header.Value,
				})
			}
			rule.Matches = append(rule.Matches, out)
		}
	}
	route.Spec.Rules = []gwapiv1.GRPCRouteRule{rule}
	return route
}

// judged is what the Gateway's controller says of a route.
func judged(route *gwapiv1.GRPCRoute, status metav1.ConditionStatus) *gwapiv1.GRPCRoute {
	route.Status.Parents = []gwapiv1.RouteParentStatus{{ParentRef: route.Spec.ParentRefs[0], Conditions: []metav1.Condition{{
		Type: string(gwapiv1.RouteConditionAccepted), Status: status, ObservedGeneration: route.Generation,
	}}}}
	return route
}

func claimantOf(exs *v1alpha1.ExposedService, route *gwapiv1.GRPCRoute) claimant {
	return newClaimant(exs, refs.ClaimsOf(exs), gateway.Live{Route: route})
}

// TestWhoWantsTheSame: nobody has it yet, and the older one comes first.
func TestWhoWantsTheSame(t *testing.T) {
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
		"same host, no rules":               {wanting("new", 0), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, "old"},
		"the older one keeps it":            {wanting("old", time.Hour), []*v1alpha1.ExposedService{wanting("new", 0)}, ""},
		"the same age: by name":             {wanting("b", 0), []*v1alpha1.ExposedService{wanting("a", 0)}, "a"},
		"the same age, first by name":       {wanting("a", 0), []*v1alpha1.ExposedService{wanting("b", 0)}, ""},
		"the oldest of several is named":    {wanting("new", 0), []*v1alpha1.ExposedService{wanting("old", time.Hour), wanting("oldest", 2*time.Hour)}, "oldest"},
		"another host":                      {wanting("new", 0, hosts("b.example.com")), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, ""},
		"one host of several":               {wanting("new", 0, hosts("b.example.com", "a.example.com")), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, "old"},
		"every host against one":            {wanting("new", 0, hosts()), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, ""},
		"every host against every host":     {wanting("new", 0, hosts()), []*v1alpha1.ExposedService{wanting("old", time.Hour, hosts())}, "old"},
		"different listeners":               {wanting("new", 0, section("a")), []*v1alpha1.ExposedService{wanting("old", time.Hour, section("b"))}, ""},
		"the same listener":                 {wanting("new", 0, section("a")), []*v1alpha1.ExposedService{wanting("old", time.Hour, section("a"))}, "old"},
		"one listener against all":          {wanting("new", 0, section("a")), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, "old"},
		"another Gateway":                   {wanting("new", 0, on("shop", "other")), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, ""},
		"an identical match":                {wanting("new", 0, matching(bye, hello)), []*v1alpha1.ExposedService{wanting("old", time.Hour, matching(hello))}, "old"},
		"different matches":                 {wanting("new", 0, matching(bye)), []*v1alpha1.ExposedService{wanting("old", time.Hour, matching(hello))}, ""},
		"a match against every call":        {wanting("new", 0, matching(bye)), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, ""},
		"an empty match is every call":      {wanting("new", 0, matching(v1alpha1.Match{Type: v1alpha1.MatchExact})), []*v1alpha1.ExposedService{wanting("old", time.Hour)}, "old"},
		"headers in another order":          {wanting("new", 0, matching(headers("a", "b"))), []*v1alpha1.ExposedService{wanting("old", time.Hour, matching(headers("b", "a")))}, "old"},
		"headers in other letters":          {wanting("new", 0, matching(headers("A"))), []*v1alpha1.ExposedService{wanting("old", time.Hour, matching(headers("a")))}, "old"},
		"itself is nobody to conflict with": {wanting("new", 0), []*v1alpha1.ExposedService{wanting("new", 0)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var rivals []claimant
			for _, other := range c.others {
				rivals = append(rivals, claimantOf(other, nil))
			}
			problem := routeConflict(claimantOf(c.exs, nil), rivals)
			switch {
			case c.want == "" && problem != nil:
				t.Errorf("conflict: %s", problem.Message)
			case c.want != "" && (problem == nil || !strings.Contains(problem.Message, "shop/"+c.want+",")):
				t.Errorf("problem is %+v, want one with %s", problem, c.want)
			}
		})
	}
}

// TestWhoKeepsTheCalls: of two that want the same, by what they have and what is said of them.
func TestWhoKeepsTheCalls(t *testing.T) {
	notAccepted := said(2, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonGatewayClassNotFound)
	notExposed := said(2, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteNotAccepted)
	waits := func(exs *v1alpha1.ExposedService) {
		said(2, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRouteConflict)(exs)
		said(2, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted)(exs)
	}
	old := func(with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
		return wanting("old", time.Hour, with...)
	}
	young := func(with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
		return wanting("young", 0, with...)
	}
	elsewhere := hosts("b.example.com")
	for name, c := range map[string]struct {
		old, young claimant
		// keeps is the one that does not give way.
		keeps string
	}{
		"nobody has them":                             {claimantOf(old(), nil), claimantOf(young(), nil), "old"},
		"the younger one has them":                    {claimantOf(old(), nil), claimantOf(young(), routeOf(young(), 0)), "young"},
		"the younger one has them, and was accepted":  {claimantOf(old(), nil), claimantOf(young(), judged(routeOf(young(), 0), metav1.ConditionTrue)), "young"},
		"the older one adds them later":               {claimantOf(old(), routeOf(old(elsewhere), time.Hour)), claimantOf(young(), routeOf(young(), 0)), "young"},
		"the older one has them":                      {claimantOf(old(), routeOf(old(), 0)), claimantOf(young(), nil), "old"},
		"though its spec is wrong now":                {claimantOf(old(notAccepted), routeOf(old(), 0)), claimantOf(young(), nil), "old"},
		"though it is being deleted":                  {claimantOf(old(deleted), routeOf(old(), 0)), claimantOf(young(), nil), "old"},
		"the older one is refused by the Gateway":     {claimantOf(old(notExposed), judged(routeOf(old(), 0), metav1.ConditionFalse)), claimantOf(young(), nil), "young"},
		"the older one has a fault in its spec":       {claimantOf(old(notAccepted), nil), claimantOf(young(), nil), "young"},
		"that was of an older generation":             {claimantOf(old(said(1, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonGatewayClassNotFound)), nil), claimantOf(young(), nil), "old"},
		"the older one is being deleted":              {claimantOf(old(deleted), nil), claimantOf(young(), nil), "young"},
		"both waited for a third one":                 {claimantOf(old(waits), nil), claimantOf(young(waits), nil), "old"},
		"the older one still waits for somebody else": {func() claimant { c := claimantOf(old(waits), nil); c.waits = true; return c }(), claimantOf(young(waits), nil), "young"},
		"both have routes, by the age of the routes":  {claimantOf(old(), routeOf(old(), 0)), claimantOf(young(), routeOf(young(), time.Hour)), "young"},
		"one has a route, one is only granted":        {claimantOf(old(), routeOf(old(), 0)), func() claimant { c := claimantOf(young(), nil); c.granted = c.wants; return c }(), "old"},
		"the younger one was granted them":            {claimantOf(old(), nil), func() claimant { c := claimantOf(young(), nil); c.granted = c.wants; return c }(), "young"},
	} {
		t.Run(name, func(t *testing.T) {
			byOld, byYoung := routeConflict(c.young, []claimant{c.old}), routeConflict(c.old, []claimant{c.young})
			if (byOld == nil) == (byYoung == nil) {
				// Who is at fault itself gives way to nobody, and is not asked.
				if c.keeps == "old" || byOld != nil {
					t.Fatalf("the younger one: %+v, the older one: %+v", byOld, byYoung)
				}
			}
			if got := byOld == nil; got != (c.keeps == "young") {
				t.Errorf("the younger one: %+v, the older one: %+v", byOld, byYoung)
			}
		})
	}
}

func TestAConflictBringsNoHostNamesOfOthersBack(t *testing.T) {
	owned := gateway.HostOwnership{Enforced: true, Own: []string{"a.example.com"}, Others: []string{"b.example.com", "*.bank.example.com"}}
	for name, c := range map[string]struct{ has, keeps []gwapiv1.Hostname }{
		"its own":             {[]gwapiv1.Hostname{"a.example.com"}, []gwapiv1.Hostname{"a.example.com"}},
		"one of another":      {[]gwapiv1.Hostname{"a.example.com", "b.example.com"}, []gwapiv1.Hostname{"a.example.com"}},
		"one of nobody":       {[]gwapiv1.Hostname{"c.example.com", "x.bank.example.com"}, []gwapiv1.Hostname{"c.example.com"}},
		"none but of another": {[]gwapiv1.Hostname{"b.example.com"}, nil},
	} {
		route := &gwapiv1.GRPCRoute{Spec: gwapiv1.GRPCRouteSpec{Hostnames: c.has}}
		got := withoutTaken(route, owned)
		if (got == nil) != (c.keeps == nil) || got != nil && !slices.Equal(got.Spec.Hostnames, c.keeps) {
			t.Errorf("%s: it keeps %+v", name, got)
		}
		if got := withoutTaken(route, gateway.HostOwnership{}); got == nil || !slices.Equal(got.Spec.Hostnames, c.has) {
			t.Errorf("%s, where nothing is enforced: it keeps %+v", name, got)
		}
	}
	all := &gwapiv1.GRPCRoute{}
	if withoutTaken(all, owned) == nil {
		t.Error("a claim to all, which nobody owns, is not kept")
	}
	owned.Others = []string{"*"}
	if withoutTaken(all, owned) != nil || withoutTaken(nil, owned) != nil {
		t.Error("a claim to all, which another owns, is kept")
	}
}

// TestConflictsAreFoundByTheirClaims: two that conflict share a value of each index, so that neither
// the conflict nor its end can be missed; and of two that conflict exactly one gives way.
func TestConflictsAreFoundByTheirClaims(t *testing.T) {
	draw := func(t *rapid.T, name string) *v1alpha1.ExposedService {
		return wanting(name, time.Duration(rapid.IntRange(0, 1).Draw(t, "age"))*time.Hour, func(exs *v1alpha1.ExposedService) {
			exs.Spec.Hostnames = rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.Hostname{"a", "b", "c"}), 0, 2, rapid.ID).Draw(t, "hosts")
			if rapid.Bool().Draw(t, "section") {
				section(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"))(exs)
			}
			if rapid.Bool().Draw(t, "rules") {
				matching(v1alpha1.Match{Service: ptr.To(rapid.SampledFrom([]string{"s", "t"}).Draw(t, "service"))})(exs)
			}
		})
	}
	shares := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(value string) bool { return slices.Contains(b, value) })
	}
	// In one namespace claims are shared that are equal.
	equal := func(a, b refs.Claims) bool {
		return a.Gateway == b.Gateway && shares(a.Hosts, b.Hosts) && shares(a.Matches, b.Matches)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		x, y := claimantOf(a, nil), claimantOf(b, nil)
		aGivesWay, bGivesWay := routeConflict(x, []claimant{y}), routeConflict(y, []claimant{x})
		if aGivesWay != nil && bGivesWay != nil {
			t.Fatalf("both give way: %v, %v", aGivesWay, bGivesWay)
		}
		conflict, shared := aGivesWay != nil || bGivesWay != nil, equal(x.wants, y.wants)
		sections := x.wants.Section == "" || y.wants.Section == "" || x.wants.Section == y.wants.Section
		if conflict != (shared && sections) {
			t.Fatalf("conflict %v, but shared claims %v", conflict, shared)
		}
		if conflict && !shares(x.wants.HostKeys(), y.wants.HostKeys()) {
			t.Fatal("they share no host")
		}
		// What Headgate makes of a spec claims what the spec claims.
		if made := refs.ClaimsOfRoute(routeOf(a, 0)); !made.Cover(x.wants) || !x.wants.Cover(made) {
			t.Fatalf("the route claims %+v, the spec %+v", made, x.wants)
		}
	})
}
