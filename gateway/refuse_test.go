package gateway_test

import (
	"slices"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// taken is a problem with an object of which somebody else has the name.
var taken = gateway.Problem{Reason: v1alpha1.ReasonNameConflict, Message: "somebody else's"}

func ref(group, kind, name string) gateway.Ref {
	return gateway.Ref{Group: group, Kind: kind, Namespace: "shop", Name: name}
}

func kinds(objects []gateway.Object) (out []string) {
	for _, object := range objects {
		out = append(out, object.GetObjectKind().GroupVersionKind().Kind+"/"+object.GetName())
	}
	slices.Sort(out)
	return out
}

func weightsIn(out gateway.Expansion) map[string]int32 {
	for _, object := range out.Objects {
		if route, ok := object.(*gwapiv1.GRPCRoute); ok {
			weights := map[string]int32{}
			for _, ref := range route.Spec.Rules[0].BackendRefs {
				weights[string(ref.Name)] = ptr.Deref(ref.Weight, 1)
			}
			return weights
		}
	}
	return nil
}

// TestWithout: what is refused with an object, and what goes on without it.
func TestWithout(t *testing.T) {
	const eg, gw = egv1a1.GroupName, gwapiv1.GroupName
	for name, c := range map[string]struct {
		refused gateway.Ref
		// live: the route is there. services: so are the own Services.
		live, services bool
		// kept are refused, and route is what the route names then; nil: it is not applied.
		kept  []string
		route map[string]int32
		// reason is that of the failover.
		reason v1alpha1.Reason
	}{
		"a new backend's Service is somebody else's": {
			refused: ref("", "Service", "greeter-backup-gw"), live: true,
			kept:  []string{"EndpointSlice/greeter-backup-gw-placeholder", "Service/greeter-backup-gw"},
			route: map[string]int32{"greeter-primary-gw": 1000000, "greeter-fallback": 1},
		},
		"the Service of the one that is to serve is": {
			refused: ref("", "Service", "greeter-primary-gw"),
			kept:    []string{"EndpointSlice/greeter-primary-gw-placeholder", "Service/greeter-primary-gw"},
			route:   map[string]int32{"greeter-backup-gw": 1000000, "greeter-fallback": 1},
		},
		"a Service that is there cannot be changed": {
			refused: ref("", "Service", "greeter-primary-gw"), live: true, services: true,
			kept:  []string{"Service/greeter-primary-gw"},
			route: map[string]int32{"greeter-primary-gw": 1000000, "greeter-backup-gw": 0, "greeter-fallback": 1},
		},
		"the fallback is somebody else's": {
			refused: ref(eg, "Backend", "greeter-fallback"), services: true,
			kept:   []string{"Backend/greeter-fallback"},
			route:  map[string]int32{"greeter-primary-gw": 1000000, "greeter-backup-gw": 0},
			reason: v1alpha1.ReasonNoFallback,
		},
		"the new route is": {
			refused: ref(gw, "GRPCRoute", "greeter"), services: true,
			kept: []string{"BackendTrafficPolicy/greeter", "EnvoyPatchPolicy/greeter", "GRPCRoute/greeter"},
		},
		"the new Gateway is": {
			refused: ref(gw, "Gateway", "greeter"), services: true,
			kept: []string{"BackendTrafficPolicy/greeter", "EnvoyPatchPolicy/greeter", "GRPCRoute/greeter", "Gateway/greeter"},
		},
		"the EnvoyProxy of what is live is": {
			refused: ref(eg, "EnvoyProxy", "greeter"), live: true, services: true,
			kept:  []string{"EnvoyProxy/greeter"},
			route: map[string]int32{"greeter-primary-gw": 1000000, "greeter-backup-gw": 0, "greeter-fallback": 1},
		},
		"the policy of a new route is": {
			refused: ref(eg, "BackendTrafficPolicy", "greeter"), services: true,
			kept:  []string{"BackendTrafficPolicy/greeter"},
			route: map[string]int32{"greeter-primary-gw": 1000000, "greeter-backup-gw": 0, "greeter-fallback": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := readInput(t, "testdata/primary-backup.in.yaml")
			facts := in.facts()
			if c.live {
				facts.LiveWeights, facts.LiveStandby = map[string]int32{"primary": gateway.TotalWeight}, []string{"backup"}
			}
			if !c.services {
				for name, have := range facts.Backends {
					have.OwnService, have.OwnSlices = nil, nil
					facts.Backends[name] = have
				}
			}
			whole := gateway.Resolve(&in.ExposedService, facts).Expand()
			before := gateway.Resolve(&in.ExposedService, facts).Expand()
			out := whole.Without(c.refused, taken)

			if diff := cmp.Diff(before, whole, cmp.AllowUnexported(gateway.Expansion{})); diff != "" {
				t.Errorf("the expansion itself was changed: %s", diff)
			}
			var kept []string
			for _, ref := range out.Kept {
				kept = append(kept, ref.Kind+"/"+ref.Name)
			}
			slices.Sort(kept)
			if diff := cmp.Diff(c.kept, kept); diff != "" {
				t.Errorf("kept (-want +got): %s", diff)
			}
			if diff := cmp.Diff(c.route, weightsIn(out)); diff != "" {
				t.Errorf("the route (-want +got): %s", diff)
			}
			if got := kinds(whole.Objects); len(got) != len(out.Objects)+len(out.Kept) {
				t.Errorf("of %v there are %v and %v", got, kinds(out.Objects), kept)
			}
			if out.Blocked || len(out.Problems) != 1 || out.Problems[0] != taken {
				t.Errorf("blocked: %t, problems: %v", out.Blocked, out.Problems)
			}
			if c.reason != "" && (out.FailoverReason != c.reason || out.Failover.Fallback != "") {
				t.Errorf("the failover is %v for %s", out.Failover, out.FailoverReason)
			}
		})
	}
}

// TestWithoutHolds: whatever is refused, what is left stands on nothing that is not there, and nothing is lost.
func TestWithoutHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		exs, facts := world(t)
		if rapid.Bool().Draw(t, "live") {
			facts.LiveWeights = map[string]int32{exs.Spec.Backends[0].Name: gateway.TotalWeight}
		}
		whole := gateway.Resolve(exs, facts).Expand()
		out := whole
		for range rapid.IntRange(1, 3).Draw(t, "refusals") {
			if len(out.Objects) > 0 {
				object := rapid.SampledFrom(out.Objects).Draw(t, "refused")
				out = out.Without(gateway.RefOf(object), taken)
			}
		}
		checkObjects(t, out)
		for _, object := range whole.Objects {
			ref := gateway.RefOf(object)
			applied := slices.ContainsFunc(out.Objects, func(o gateway.Object) bool { return gateway.RefOf(o) == ref })
			if applied == slices.Contains(out.Kept, ref) {
				t.Fatalf("%v is applied: %t", ref, applied)
			}
		}
		made := map[string]bool{}
		for _, object := range out.Objects {
			made[object.GetName()] = true
		}
		for _, object := range out.Objects {
			slice, ok := object.(*discoveryv1.EndpointSlice)
			if !ok {
				continue
			}
			service := slice.Labels[discoveryv1.LabelServiceName]
			if !made[service] && !slices.Contains(whole.Kept, gateway.Ref{Kind: "Service", Namespace: "shop", Name: service}) && !ownIsLive(exs, facts, service) {
				t.Fatalf("%s is for a Service %s that is not ours", slice.Name, service)
			}
		}
		before, after := weightsIn(whole), weightsIn(out)
		if after == nil {
			return
		}
		if sum(before) != sum(after) && before[gateway.FallbackName(exs)] == after[gateway.FallbackName(exs)] {
			t.Fatalf("the weights were %v and are %v", before, after)
		}
	})
}

func sum(weights map[string]int32) (out int32) {
	for _, weight := range weights {
		out += weight
	}
	return out
}

func ownIsLive(exs *v1alpha1.ExposedService, facts gateway.Facts, service string) bool {
	for name, have := range facts.Backends {
		if gateway.ServiceName(exs, name) == service && have.OwnService != nil {
			return true
		}
	}
	for slot, have := range facts.Slots {
		if gateway.SlotServiceName(exs, slot) == service && have.Service != nil {
			return true
		}
	}
	return false
}

// TestWhatLivesComesFirst: what keeps live traffic right is applied before anything that somebody's override can break; a
// route that is new comes after its policies.
func TestWhatLivesComesFirst(t *testing.T) {
	in := readInput(t, "testdata/primary-backup.in.yaml")
	facts := in.facts()
	order := func() (route, slice, fallback, proxy, policy, patch int) {
		objects := gateway.Resolve(&in.ExposedService, facts).Expand().Objects
		last := func(kind string) int {
			out := -1
			for i, object := range objects {
				if object.GetObjectKind().GroupVersionKind().Kind == kind {
					out = i
				}
			}
			return out
		}
		return last("GRPCRoute"), last("EndpointSlice"), last("Backend"), last("EnvoyProxy"), last("BackendTrafficPolicy"), last("EnvoyPatchPolicy")
	}
	route, slice, fallback, proxy, policy, patch := order()
	if slice > proxy || fallback > proxy || patch > policy || policy > route {
		t.Errorf("new: slices %d, fallback %d, proxy %d, patch %d, policy %d, route %d", slice, fallback, proxy, patch, policy, route)
	}
	facts.LiveWeights = map[string]int32{"primary": gateway.TotalWeight}
	route, slice, fallback, proxy, policy, patch = order()
	if slice > route || fallback > route || route > proxy || patch > policy {
		t.Errorf("live: slices %d, fallback %d, route %d, proxy %d, patch %d, policy %d", slice, fallback, route, proxy, patch, policy)
	}
}
