package gateway_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

func TestCapabilities(t *testing.T) {
	all := gateway.Served{Backend: true, EnvoyPatchPolicy: true}
	const (
		on, off, missing, unknown = gateway.CapabilityOn, gateway.CapabilityOff, gateway.CapabilityMissing, gateway.CapabilityUnknown
		disabled                  = "Failed to process route rule 0 backendRef 2: Backend is disabled in Envoy Gateway configuration."
	)
	for name, c := range map[string]struct {
		served         gateway.Served
		change         func(*stage)
		backend, patch gateway.Capability
		merged         bool
	}{
		"both accepted":         {served: all, backend: on, patch: on},
		"neither kind is there": {backend: missing, patch: missing},
		"nothing is made yet":   {served: all, change: func(s *stage) { s.live.Backends, s.live.PatchPolicy, s.live.Route = nil, nil, nil }},
		"nothing is said yet":   {served: all, change: func(s *stage) { s.live.Backends[0].Status.Conditions = nil; s.live.PatchPolicy.Status.Ancestors = nil }},
		"said of an older Backend": {
			served: all, change: func(s *stage) { s.live.Backends[0].Generation++ }, backend: unknown, patch: on,
		},
		"said of an older patch": {
			served: all, change: func(s *stage) { s.live.PatchPolicy.Generation++ }, backend: on, patch: unknown,
		},
		"the route says that Backends are off": {
			served: all, change: func(s *stage) { refuse(s.route(), "ResolvedRefs", "UnsupportedValue", disabled) }, backend: off, patch: on,
		},
		"the Backend says so itself": {
			served: all, backend: off, patch: on,
			change: func(s *stage) {
				refuse(&s.live.Backends[0].Status.Conditions, "Accepted", "Invalid",
					"The Backend was not accepted since Backend is not enabled in Envoy Gateway Config")
			},
		},
		"the Backend is refused for another reason": {
			served: all, change: func(s *stage) {
				refuse(&s.live.Backends[0].Status.Conditions, "Accepted", "Invalid", "The Backend was not accepted: bad address")
			}, backend: unknown, patch: on,
		},
		"an accepted Backend that no route refers to proves nothing: its status is from before": {
			served: all, change: func(s *stage) { s.live.Route.Spec.Rules[0].BackendRefs = nil }, backend: unknown, patch: on,
		},
		"nor does one before its route has been looked at": {
			served: all, change: func(s *stage) { s.live.Route.Generation++ }, backend: unknown, patch: on,
		},
		"another reference of the route does not resolve": {
			served: all, change: func(s *stage) { refuse(s.route(), "ResolvedRefs", "BackendNotFound", "Service shop/x not found") }, backend: on, patch: on,
		},
		"patches are off": {
			served: all, change: func(s *stage) {
				refuse(s.patch(), "Accepted", "Disabled", "EnvoyPatchPolicy is disabled in the EnvoyGateway configuration")
			}, backend: on, patch: off,
		},
		"the patch is refused for another reason": {
			served: all, change: func(s *stage) { refuse(s.patch(), "Accepted", "Invalid", "wrong target") }, backend: on, patch: unknown,
		},
		"the patch is for a class whose Gateways are merged": {served: all, change: func(s *stage) { s.merge("envoy") }, backend: on, patch: on},
		"patches of a class are off": {
			served: all, change: func(s *stage) { s.merge("envoy"); refuse(s.patch(), "Accepted", "Disabled", "off") }, backend: on, patch: off,
		},
		"Gateways are merged by Envoy Gateway's own configuration": {
			served: all, change: func(s *stage) {
				s.merge("greeter")
				s.live.MergedClass = ""
				refuse(s.patch(), "Accepted", "Invalid", "not found or not accepted (MergeGateways=true).")
			}, backend: on, patch: unknown, merged: true,
		},
		"they were, and the patch has changed since": {
			served: all, change: func(s *stage) {
				s.merge("greeter")
				s.live.MergedClass = ""
				refuse(s.patch(), "Accepted", "Invalid", "not found or not accepted (MergeGateways=true).")
				s.live.PatchPolicy.Generation++
			}, backend: on, patch: unknown,
		},
		"somebody else speaks of the patch": {
			served: all, change: func(s *stage) { s.live.PatchPolicy.Status.Ancestors[0].ControllerName = "example.com/other" }, backend: on, patch: unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ownedStage()
			if c.change != nil {
				c.change(s)
			}
			got := gateway.CapabilitiesFrom(s.exs, s.live, c.served)
			if got.Backend != c.backend || got.EnvoyPatchPolicy != c.patch || got.MergedUnseen != c.merged {
				t.Errorf("merged: %t; Backend is %q, want %q; EnvoyPatchPolicy is %q, want %q", got.MergedUnseen, got.Backend, c.backend, got.EnvoyPatchPolicy, c.patch)
			}
		})
	}
}

// TestLastMode: only a mode that was chosen for what Envoy Gateway can do says something about that.
func TestLastMode(t *testing.T) {
	for name, c := range map[string]struct {
		mode   v1alpha1.FailoverMode
		reason v1alpha1.Reason
		want   v1alpha1.FailoverMode
	}{
		"none":                                  {},
		"priorities":                            {v1alpha1.FailoverPriorities, v1alpha1.ReasonPriorities, v1alpha1.FailoverPriorities},
		"Backends were off":                     {v1alpha1.FailoverWeights, v1alpha1.ReasonBackendAPIDisabled, v1alpha1.FailoverWeights},
		"patches were off":                      {v1alpha1.FailoverPriorities, v1alpha1.ReasonPatchAPIDisabled, v1alpha1.FailoverPriorities},
		"patches were off, of an older version": {v1alpha1.FailoverWeights, v1alpha1.ReasonPatchAPIDisabled, ""},
		"the class was missing":                 {v1alpha1.FailoverWeights, v1alpha1.ReasonUnknown, ""},
		"the class was another":                 {v1alpha1.FailoverWeights, v1alpha1.ReasonClassNotSupported, ""},
		"the first was a host":                  {v1alpha1.FailoverWeights, v1alpha1.ReasonHostBackend, ""},
		"weights were asked for":                {v1alpha1.FailoverWeights, v1alpha1.ReasonWeightsRequested, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := ownedStage()
			if c.mode != "" {
				s.exs.Status.Failover = &v1alpha1.FailoverStatus{Mode: c.mode}
				s.exs.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPriorityFailover, Reason: string(c.reason)}}
			}
			if got := gateway.CapabilitiesFrom(s.exs, s.live, gateway.Served{}).LastMode; got != c.want {
				t.Errorf("the last mode is %q, want %q", got, c.want)
			}
		})
	}
}
