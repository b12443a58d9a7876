package gateway_test

import (
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// TestEverythingMadeHasAName: whatever an expansion makes or keeps has a name of the scheme, also after backends have gone.
func TestEverythingMadeHasAName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		exs, facts := world(t)
		out := gateway.Resolve(exs, facts).Expand()
		exs.Spec.Backends = nil
		for _, object := range out.Objects {
			if ref := gateway.RefOf(object); !gateway.IsOurName(exs, ref) {
				t.Fatalf("%v is no name of %s", ref, exs.Name)
			}
		}
		for _, ref := range out.Kept {
			// The tests name EndpointSlices as the cluster does.
			if ref.Kind != gateway.KindEndpointSlice && !gateway.IsOurName(exs, ref) {
				t.Fatalf("%v is no name of %s", ref, exs.Name)
			}
		}
	})
}

func TestIsOurName(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	for name, c := range map[string]struct {
		ref  gateway.Ref
		want bool
	}{
		"the route":                           {ref("", "GRPCRoute", "greeter"), true},
		"a copy of the route":                 {ref("", "GRPCRoute", "greeter-debug"), false},
		"a route of another":                  {ref("", "GRPCRoute", "other"), false},
		"a Service":                           {ref("", "Service", "greeter-old-gw"), true},
		"the Service of a slot":               {ref("", "Service", "greeter-primary-green"), true},
		"a Service called after a slot":       {ref("", "Service", "greeter-green"), false},
		"a placeholder of a slot":             {ref("", "EndpointSlice", "greeter-primary-green-placeholder"), true},
		"a slice of a slot of the cluster":    {ref("", "EndpointSlice", "greeter-primary-green-x7k2p"), false},
		"the canary of an earlier version":    {ref("", "Service", "greeter-canary-gw"), true},
		"a Service of a user":                 {ref("", "Service", "greeter"), false},
		"a Service without a backend":         {ref("", "Service", "greeter--gw"), false},
		"a copy of a Service":                 {ref("", "Service", "greeter-old-gw-2"), false},
		"a canary":                            {ref("apps", "Deployment", "app-canary"), true},
		"the Service of a canary":             {ref("", "Service", "app-canary"), true},
		"a Deployment":                        {ref("apps", "Deployment", "greeter"), false},
		"a placeholder":                       {ref("", "EndpointSlice", "greeter-primary-gw-placeholder"), true},
		"a placeholder of IPv6":               {ref("", "EndpointSlice", "greeter-primary-gw-placeholder-v6"), true},
		"a mirror":                            {ref("", "EndpointSlice", "greeter-primary-gw-0a1b2c3d"), true},
		"a slice of the cluster":              {ref("", "EndpointSlice", "greeter-primary-gw-x7k2p"), false},
		"a fallback":                          {ref("", "Backend", "greeter-fallback"), true},
		"a host":                              {ref("", "Backend", "greeter-eu-host"), true},
		"a Backend of a user":                 {ref("", "Backend", "greeter"), false},
		"a route elsewhere":                   {gateway.Ref{Kind: "GRPCRoute", Namespace: "infra", Name: "greeter"}, false},
		"a patch elsewhere":                   {gateway.PatchRef(exs, "infra"), true},
		"a patch beside it":                   {gateway.PatchRef(exs, "shop"), true},
		"a patch of a namespace's copy":       {gateway.Ref{Group: egv1a1.GroupName, Kind: "EnvoyPatchPolicy", Namespace: "infra2", Name: "greeter"}, false},
		"a kind that Headgate does not make":  {ref("", "ConfigMap", "greeter"), false},
		"a name that begins like one of ours": {ref("", "Gateway", "greeter2"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := gateway.IsOurName(exs, c.ref); got != c.want {
				t.Errorf("%v: %t", c.ref, got)
			}
		})
	}
}

// TestLiveOf: a copy of an object, with labels and owner and all, is never taken for the object.
func TestLiveOf(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("envoy")}
	exs.Spec.Backends = []v1alpha1.Backend{{Name: "primary"}, {Name: "eu"}}
	ours := map[gateway.Ref]gateway.Object{}
	add := func(group, kind string, object gateway.Object, names ...string) {
		for _, name := range names {
			copied, ok := object.DeepCopyObject().(gateway.Object)
			if !ok {
				t.Fatal(kind)
			}
			copied.SetNamespace("shop")
			copied.SetName(name)
			ours[gateway.Ref{Group: group, Kind: kind, Namespace: "shop", Name: name}] = copied
		}
	}
	const eg, gw = egv1a1.GroupName, gwapiv1.GroupName
	add(gw, "Gateway", &gwapiv1.Gateway{}, "greeter", "greeter-2")
	add(gw, "GRPCRoute", &gwapiv1.GRPCRoute{}, "a-copy", "greeter", "z-copy")
	add(eg, "BackendTrafficPolicy", &egv1a1.BackendTrafficPolicy{}, "a-copy", "greeter")
	add(eg, "EnvoyProxy", &egv1a1.EnvoyProxy{}, "a-copy", "greeter")
	add(eg, "EnvoyPatchPolicy", &egv1a1.EnvoyPatchPolicy{}, "a-copy", "greeter")
	add(eg, "Backend", &egv1a1.Backend{}, "a-copy", "greeter-fallback", "greeter-eu-host", "greeter-old-host")
	facts := gateway.Facts{Class: &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController}}}

	for range 20 {
		live := gateway.LiveOf(exs, facts, ours)
		for _, object := range []gateway.Object{live.Gateway, live.Route, live.TrafficPolicy, live.Proxy, live.PatchPolicy} {
			if object.GetName() != "greeter" {
				t.Fatalf("%T is %s", object, object.GetName())
			}
		}
		if len(live.Backends) != 2 || live.Backends[0].Name != "greeter-fallback" || live.Backends[1].Name != "greeter-eu-host" {
			t.Fatalf("the Backends are %v", live.Backends)
		}
		if live.Controller != gateway.EnvoyGatewayController {
			t.Fatalf("the controller is %q", live.Controller)
		}
	}
	facts.Gateway = &gwapiv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "public"}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}}
	live := gateway.LiveOf(exs, facts, map[gateway.Ref]gateway.Object{})
	if live.Gateway != facts.Gateway || live.Route != nil || live.PatchPolicy != nil {
		t.Errorf("of a shared Gateway there is %+v", live)
	}
}

func TestProxiesAreFound(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	facts := gateway.Facts{Class: &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: "envoy"}, Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController},
	}}
	own := map[string]string{"gateway.envoyproxy.io/owning-gateway-name": "greeter", "gateway.envoyproxy.io/owning-gateway-namespace": "shop"}
	merged := map[string]string{"gateway.envoyproxy.io/owning-gatewayclass": "envoy"}
	if got := gateway.ProxyKey(exs, facts); got != "shop/greeter" || got != gateway.ProxyKeyOf(own) || got == gateway.ProxyKeyOf(merged) {
		t.Errorf("a Gateway's proxies are %q", got)
	}
	facts.ClassProxy = &egv1a1.EnvoyProxy{Spec: egv1a1.EnvoyProxySpec{MergeGateways: ptr.To(true)}}
	if got := gateway.ProxyKey(exs, facts); got != gateway.ProxyKeyOf(merged) || got == gateway.ProxyKeyOf(own) {
		t.Errorf("merged proxies are %q", got)
	}
	facts.Class.Spec.ControllerName = "example.com/other"
	if gateway.MergedClass(facts) != "" {
		t.Error("another implementation merges Gateways")
	}
	if got := gateway.ProxyKeyOf(map[string]string{"app": "greeter"}); got != "" {
		t.Errorf("what is no proxy is %q", got)
	}
}
