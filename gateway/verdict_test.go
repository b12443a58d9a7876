package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// stage is an ExposedService whose objects Envoy Gateway has accepted and programmed, all of them.
type stage struct {
	exs       *v1alpha1.ExposedService
	expansion gateway.Expansion
	live      gateway.Live
	failures  []gateway.Failure
}

// generation is that of every live object.
const generation = 4

func ownedStage() *stage {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", Generation: 2},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{"greeter.example.com", "hello.example.com"},
			Gateway:   &v1alpha1.Gateway{ClassName: ptr.To("envoy")},
			Backends:  []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
		},
	}
	s := &stage{exs: exs}
	s.live.Gateway = &gwapiv1.Gateway{
		ObjectMeta: liveMeta("shop", "greeter"),
		Spec:       gwapiv1.GatewaySpec{Listeners: []gwapiv1.Listener{{Name: gateway.ListenerName}}},
		Status: gwapiv1.GatewayStatus{
			Addresses: []gwapiv1.GatewayStatusAddress{{Value: "192.0.2.10"}},
			Listeners: []gwapiv1.ListenerStatus{{Name: gateway.ListenerName}},
		},
	}
	s.live.Route = &gwapiv1.GRPCRoute{
		ObjectMeta: liveMeta("shop", "greeter"),
		Spec:       gwapiv1.GRPCRouteSpec{CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{{Name: "greeter"}}}},
	}
	s.finish()
	return s
}

// attachedStage is on listener grpc of Gateway infra/public.
func attachedStage() *stage {
	s := ownedStage()
	s.exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra"), SectionName: ptr.To("grpc")}}
	s.live.Gateway.ObjectMeta = liveMeta("infra", "public")
	s.live.Gateway.Spec.Listeners = append(s.live.Gateway.Spec.Listeners, gwapiv1.Listener{Name: "other"})
	s.live.Gateway.Status.Listeners = append(s.live.Gateway.Status.Listeners, gwapiv1.ListenerStatus{Name: "other"})
	s.live.Route.Spec.ParentRefs = []gwapiv1.ParentReference{{Name: "public", Namespace: ptr.To(gwapiv1.Namespace("infra")), SectionName: ptr.To(gwapiv1.SectionName("grpc"))}}
	s.finish()
	return s
}

func liveMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: generation}
}

// finish makes everybody say yes.

func (s *stage) finish() {
	ref := gateway.GatewayRef(s.exs)
	s.live.Controller = gateway.EnvoyGatewayController
	s.live.Proxy = &egv1a1.EnvoyProxy{ObjectMeta: liveMeta("shop", "greeter")}
	s.live.TrafficPolicy = &egv1a1.BackendTrafficPolicy{ObjectMeta: liveMeta("shop", "greeter")}
	s.live.PatchPolicy = &egv1a1.EnvoyPatchPolicy{ObjectMeta: liveMeta(ref.Namespace, gateway.PatchRef(s.exs, ref.Namespace).Name)}
	s.live.Backends = []*egv1a1.Backend{{ObjectMeta: liveMeta("shop", "greeter-fallback")}}
	s.live.Route.Spec.Rules = []gwapiv1.GRPCRouteRule{{BackendRefs: []gwapiv1.GRPCBackendRef{{BackendRef: gwapiv1.BackendRef{
		BackendObjectReference: gwapiv1.BackendObjectReference{Kind: ptr.To(gwapiv1.Kind("Backend")), Name: "greeter-fallback"}, Weight: ptr.To(int32(1)),
	}}}}}
	s.expansion = gateway.Expansion{
		Gateway:        ref,
		Failover:       v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverPriorities, Fallback: "backup"},
		FailoverReason: v1alpha1.ReasonPriorities, FailoverMessage: "Envoy turns to backup",
		Backends: []v1alpha1.BackendStatus{{Name: "primary"}, {Name: "backup"}},
	}
	for _, kind := range []string{"EnvoyProxy", "Gateway", "Backend", "GRPCRoute", "BackendTrafficPolicy", "EnvoyPatchPolicy"} {
		object := &metav1.PartialObjectMetadata{}
		object.Kind = kind
		s.expansion.Objects = append(s.expansion.Objects, object)
	}

	ancestor := gwapiv1.ParentReference{
		Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: ptr.To(gwapiv1.Kind("Gateway")),
		Namespace: ptr.To(gwapiv1.Namespace(ref.Namespace)), Name: gwapiv1.ObjectName(ref.Name),
	}
	s.live.Route.Status.Parents = []gwapiv1.RouteParentStatus{{ParentRef: s.live.Route.Spec.ParentRefs[0], ControllerName: s.live.Controller}}
	s.live.TrafficPolicy.Status.Ancestors = []gwapiv1.PolicyAncestorStatus{{AncestorRef: ancestor, ControllerName: s.live.Controller}}
	s.live.PatchPolicy.Status.Ancestors = []gwapiv1.PolicyAncestorStatus{{AncestorRef: ancestor, ControllerName: s.live.Controller}}
	s.live.Proxy.Status.Ancestors = []egv1a1.EnvoyProxyAncestorStatus{{AncestorRef: ancestor}}
	for _, conditions := range []*[]metav1.Condition{
		s.gateway(), s.listener(0), s.route(), s.policy(), s.patch(), s.proxy(), &s.live.Backends[0].Status.Conditions,
	} {
		for _, conditionType := range []string{"Accepted", "Programmed", "ResolvedRefs"} {
			say(conditions, conditionType, metav1.ConditionTrue, conditionType, "fine")
		}
	}
	for i := 1; i < len(s.live.Gateway.Status.Listeners); i++ {
		say(s.listener(i), "Accepted", metav1.ConditionTrue, "Accepted", "fine")
	}
}

func (s *stage) gateway() *[]metav1.Condition { return &s.live.Gateway.Status.Conditions }

func (s *stage) listener(i int) *[]metav1.Condition {
	return &s.live.Gateway.Status.Listeners[i].Conditions
}

func (s *stage) route() *[]metav1.Condition { return &s.live.Route.Status.Parents[0].Conditions }

func (s *stage) policy() *[]metav1.Condition {
	return &s.live.TrafficPolicy.Status.Ancestors[0].Conditions
}

func (s *stage) patch() *[]metav1.Condition {
	return &s.live.PatchPolicy.Status.Ancestors[0].Conditions
}

func (s *stage) proxy() *[]metav1.Condition { return &s.live.Proxy.Status.Ancestors[0].Conditions }

func (s *stage) weights() {
	s.expansion.Failover = v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverWeights}
	s.expansion.FailoverReason, s.expansion.FailoverMessage = v1alpha1.ReasonBackendAPIDisabled, "Envoy Gateway's Backend API is off"
	s.live.Route.Spec.Rules[0].BackendRefs[0].Weight = ptr.To(int32(0))
}

// merge lets Envoy Gateway take the patch for one of a class.
func (s *stage) merge(class string) {
	s.live.MergedClass = class
	s.live.PatchPolicy.Status.Ancestors[0].AncestorRef = gwapiv1.ParentReference{
		Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: ptr.To(gwapiv1.Kind("GatewayClass")), Name: gwapiv1.ObjectName(class),
	}
}

func unresolved(backend, message string) gateway.Problem {
	return gateway.Problem{Reason: v1alpha1.ReasonBackendNotFound, Message: message, For: v1alpha1.ConditionResolvedRefs, Backend: backend}
}

func say(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}

func refuse(conditions *[]metav1.Condition, conditionType, reason, message string) {
	say(conditions, conditionType, metav1.ConditionFalse, reason, message)
}

// noon is when everything is judged.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func (s *stage) judge() gateway.Verdict {
	return gateway.Judge(s.exs, gateway.Findings{Expansion: s.expansion, Live: s.live, Failures: s.failures, Now: noon})
}

func TestVerdict(t *testing.T) {
	const (
		stalled     = v1alpha1.ConditionStalled
		reconciling = v1alpha1.ConditionReconciling
	)
	for name, c := range map[string]struct {
		stage  func() *stage
		change func(*stage)
		// accepted, resolved and exposed are "status/reason" of these conditions.
		accepted, resolved, exposed string
		// passing is the one of Stalled and Reconciling that is there.
		passing string
		// served: Ready is True although one of them is there.
		served bool
		// words stand in the message of Ready, or of the condition that is not True beside it.
		words []string
	}{
		"everything is fine": {exposed: "True/Exposed", words: []string{"greeter.example.com and 1 more", "192.0.2.10"}},
		"everything is fine on a shared Gateway": {
			stage: attachedStage, exposed: "True/Exposed", words: []string{"192.0.2.10"},
		},

		"a Service is missing, and calls go on": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{
					unresolved("backup", "Service shop/backup does not exist"), unresolved("third", "no port 1"),
				}
			},
			resolved: "False/BackendNotFound", exposed: "True/Exposed", words: []string{"shop/backup", "no port 1"},
		},
		"no Service is there": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{unresolved("primary", "Service shop/primary does not exist"), unresolved("backup", "no port 1")}
			},
			resolved: "False/BackendNotFound", exposed: "True/Exposed", passing: stalled, words: []string{"shop/primary", "no port 1"},
		},
		"no Service is there, and pods of one still serve": {
			change: func(s *stage) {
				s.expansion.Backends[0].Ready = ptr.To(int32(2))
				s.expansion.Problems = []gateway.Problem{unresolved("primary", "Service shop/primary does not exist"), unresolved("backup", "no port 1")}
			},
			resolved: "False/BackendNotFound", exposed: "True/Exposed",
		},
		"the Deployment of a rollout is missing": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{{
					Reason: v1alpha1.ReasonWorkloadNotFound, Message: "Deployment shop/greeter does not exist", For: v1alpha1.ConditionResolvedRefs,
				}}
			},
			resolved: "False/WorkloadNotFound", exposed: "True/Exposed", words: []string{"Deployment shop/greeter"},
		},
		"a rollout asks for what is not there": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{{
					Reason: v1alpha1.ReasonRolloutNotSupported, Message: "no codes", For: v1alpha1.ConditionProgressing,
				}}
			},
			accepted: "False/RolloutNotSupported", exposed: "True/Exposed", words: []string{"no codes"},
		},
		"a claim over xDS is lost, and the Gateway serves": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{{Reason: v1alpha1.ReasonRouteConflict, Message: "shop/other has it", For: v1alpha1.ConditionXDSAccepted}}
			},
			accepted: "False/RouteConflict", exposed: "True/Exposed", words: []string{"shop/other"},
		},
		"one object is refused for its override, and calls go on": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{
					{Reason: v1alpha1.ReasonRolloutNotSupported, Message: "no codes", For: v1alpha1.ConditionProgressing},
					{Reason: v1alpha1.ReasonInvalidOverride, Message: "spec.overrides[0]"},
				}
			},
			accepted: "False/InvalidOverride", exposed: "True/Exposed", passing: stalled, served: true, words: []string{"spec.overrides[0]", "no codes"},
		},
		"nothing is known, and what there is serves on": {
			change: func(s *stage) {
				s.expansion.Blocked, s.expansion.Objects = true, nil
				s.expansion.Problems = []gateway.Problem{{Reason: v1alpha1.ReasonGatewayClassNotFound, Message: "GatewayClass envoy does not exist"}}
			},
			accepted: "False/GatewayClassNotFound", exposed: "True/Exposed", passing: stalled, words: []string{"GatewayClass envoy"},
		},
		"nothing is made, because the spec is wrong": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{{Reason: v1alpha1.ReasonGatewayClassNotFound, Message: "GatewayClass envoy does not exist"}}
				s.expansion.Objects, s.live = nil, gateway.Live{}
			},
			accepted: "False/GatewayClassNotFound", exposed: "False/NotAccepted", passing: stalled, words: []string{"GatewayClass envoy"},
		},
		"fields are ignored": {
			change:   func(s *stage) { s.expansion.Ignored = []string{"spec.traffic"} },
			accepted: "True/FieldsIgnored", exposed: "True/Exposed",
		},

		"an object is refused by the API server": {
			change: func(s *stage) {
				s.failures = []gateway.Failure{{Message: "Gateway shop/greeter is refused", Final: true}}
			},
			exposed: "False/ApplyFailed", passing: stalled, served: true, words: []string{"Gateway shop/greeter is refused"},
		},
		"an object is tried again": {
			change:  func(s *stage) { s.failures = []gateway.Failure{{Message: "the server is down"}} },
			exposed: "False/ApplyFailed", passing: reconciling, served: true,
		},
		"the first apply fails": {
			change: func(s *stage) {
				s.failures = []gateway.Failure{{Message: "Gateway shop/greeter is refused", Final: true}}
				s.live = gateway.Live{}
			},
			exposed: "False/ApplyFailed", passing: stalled, words: []string{"Gateway shop/greeter is refused"},
		},
		"the canary cannot be made": {
			change: func(s *stage) {
				s.failures = []gateway.Failure{{Message: "Deployment shop/greeter-canary exceeds a quota", Part: gateway.PartRollout}}
			},
			accepted: "False/ApplyFailed", exposed: "True/Exposed", words: []string{"quota"},
		},

		"the Gateway is not there yet": {
			change: func(s *stage) { s.live.Gateway = nil }, exposed: "Unknown/Pending", passing: reconciling, words: []string{"shop/greeter"},
		},
		"the Gateway is being deleted": {
			change: func(s *stage) { s.live.Gateway.DeletionTimestamp = &metav1.Time{} }, exposed: "Unknown/Pending", passing: reconciling,
		},
		"nobody has looked at the Gateway": {
			change: func(s *stage) { *s.gateway() = nil }, exposed: "Unknown/Pending", passing: reconciling,
			words: []string{"Gateway shop/greeter", string(gateway.EnvoyGatewayController), "running"},
		},
		"the Gateway's default condition is no answer": {
			change: func(s *stage) {
				*s.gateway() = []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionUnknown, Reason: "Pending", Message: "Waiting for controller"}}
			},
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"what was said of an older Gateway does not count": {
			change:  func(s *stage) { s.live.Gateway.Generation++; refuse(s.gateway(), "Accepted", "Invalid", "old") },
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"the Gateway is refused": {
			change:  func(s *stage) { refuse(s.gateway(), "Accepted", "InvalidParameters", "bad EnvoyProxy") },
			exposed: "False/GatewayNotAccepted", passing: stalled, words: []string{"bad EnvoyProxy", "InvalidParameters"},
		},
		"the Gateway has no address": {
			change: func(s *stage) {
				refuse(s.gateway(), "Programmed", "AddressNotAssigned", "No addresses have been assigned")
			},
			exposed: "False/GatewayNotProgrammed", passing: reconciling, words: []string{"load balancer", "Internal"},
		},
		"the Gateway has no proxies": {
			change:  func(s *stage) { refuse(s.gateway(), "Programmed", "NoResources", "Envoy replicas unavailable") },
			exposed: "False/GatewayNotProgrammed", passing: reconciling, words: []string{"Deployment"},
		},

		"a Secret is missing": {
			change: func(s *stage) {
				s.live.Gateway.Spec.Listeners[0].TLS = &gwapiv1.ListenerTLSConfig{CertificateRefs: []gwapiv1.SecretObjectReference{{Name: "greeter-tls"}}}
				refuse(s.listener(0), "ResolvedRefs", "InvalidCertificateRef", "No valid secrets exist: certificate refs 0: not found.")
				refuse(s.listener(0), "Programmed", "Invalid", "Listener is invalid")
				refuse(s.gateway(), "Programmed", "NoResources", "Envoy replicas unavailable")
			},
			exposed: "False/ListenerNotReady", passing: stalled, words: []string{"Secret shop/greeter-tls", "kubernetes.io/tls", "InvalidCertificateRef"},
		},
		"a Secret may not be used": {
			change: func(s *stage) {
				s.live.Gateway.Spec.Listeners[0].TLS = &gwapiv1.ListenerTLSConfig{CertificateRefs: []gwapiv1.SecretObjectReference{{Name: "tls", Namespace: ptr.To(gwapiv1.Namespace("vault"))}}}
				refuse(s.listener(0), "ResolvedRefs", "RefNotPermitted", "no grant")
				refuse(s.listener(0), "Programmed", "Invalid", "Listener is invalid")
			},
			exposed: "False/ListenerNotReady", passing: stalled, words: []string{"vault/tls", "ReferenceGrant", "namespace: shop"},
		},
		"one of two certificates is bad, and the listener works": {
			change: func(s *stage) {
				refuse(s.listener(0), "ResolvedRefs", "PartiallyInvalidCertificateRef", "Some secrets are invalid")
			},
			exposed: "True/Exposed",
		},
		"the port is taken, and the Gateway refused for it": {
			change: func(s *stage) {
				refuse(s.listener(0), "Accepted", "PortUnavailable", "port 443 is in use")
				refuse(s.gateway(), "Accepted", "ListenersNotValid", "No listeners are valid: grpc")
			},
			exposed: "False/ListenerNotReady", passing: stalled, words: []string{"port 443 is in use"},
		},
		"another listener of a shared Gateway is broken": {
			stage: attachedStage, change: func(s *stage) { refuse(s.listener(1), "Accepted", "PortUnavailable", "not ours") }, exposed: "True/Exposed",
		},
		"our listener of a shared Gateway is broken": {
			stage: attachedStage, change: func(s *stage) { refuse(s.listener(0), "Accepted", "PortUnavailable", "ours") },
			exposed: "False/ListenerNotReady", passing: stalled, words: []string{"listener grpc of Gateway infra/public"},
		},
		"without sectionName one listener that works is enough": {
			stage: attachedStage,
			change: func(s *stage) {
				s.exs.Spec.Gateway.ParentRef.SectionName = nil
				s.live.Route.Spec.ParentRefs[0].SectionName = nil
				s.live.Route.Status.Parents[0].ParentRef.SectionName = nil
				refuse(s.listener(0), "Accepted", "PortUnavailable", "the other one works")
			},
			exposed: "True/Exposed",
		},

		"nobody has looked at the route": {
			change: func(s *stage) { s.live.Route.Status.Parents = nil }, exposed: "Unknown/Pending", passing: reconciling, words: []string{"GRPCRoute shop/greeter"},
		},
		"somebody else has looked at the route": {
			change:  func(s *stage) { s.live.Route.Status.Parents[0].ControllerName = "example.com/other" },
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"what was said of another parent of the route does not count": {
			change:  func(s *stage) { s.live.Route.Status.Parents[0].ParentRef.Name = "other" },
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"what was said of an older route does not count": {
			change: func(s *stage) {
				s.live.Route.Generation++
				refuse(s.route(), "Accepted", "NotAllowedByListeners", "old")
			},
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"the route is not admitted": {
			stage: attachedStage, change: func(s *stage) {
				refuse(s.route(), "Accepted", "NotAllowedByListeners", "No listeners included by this parent ref allowed this attachment.")
			},
			exposed: "False/RouteNotAccepted", passing: stalled, words: []string{"infra/public", "allowedRoutes", "shop"},
		},
		"no host fits the listener": {
			stage: attachedStage, change: func(s *stage) { refuse(s.route(), "Accepted", "NoMatchingListenerHostname", "no") },
			exposed: "False/RouteNotAccepted", passing: stalled, words: []string{"spec.hostnames"},
		},
		"there is no such listener": {
			stage: attachedStage, change: func(s *stage) { refuse(s.route(), "Accepted", "NoMatchingParent", "no") },
			exposed: "False/RouteNotAccepted", passing: stalled, words: []string{"sectionName"},
		},
		"a reference does not resolve": {
			change:  func(s *stage) { refuse(s.route(), "ResolvedRefs", "BackendNotFound", "Service shop/x not found") },
			exposed: "False/RefsNotResolved", passing: stalled, words: []string{"Service shop/x not found"},
		},

		"a reference to a backend that has no calls does not resolve": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{unresolved("backup", "Service shop/backup does not exist")}
				refuse(s.route(), "ResolvedRefs", "BackendNotFound", "Service shop/backup not found")
			},
			resolved: "False/BackendNotFound", exposed: "False/RefsNotResolved", passing: stalled, served: true,
		},
		"a reference to a backend that has calls does not resolve": {
			change: func(s *stage) {
				s.expansion.Problems = []gateway.Problem{unresolved("primary", "Service shop/primary does not exist")}
				refuse(s.route(), "ResolvedRefs", "BackendNotFound", "Service shop/primary not found")
			},
			resolved: "False/BackendNotFound", exposed: "False/RefsNotResolved", passing: stalled,
		},

		"the traffic policy is refused": {
			change:  func(s *stage) { refuse(s.policy(), "Accepted", "Invalid", "bad duration") },
			exposed: "False/PolicyNotAccepted", passing: stalled, served: true, words: []string{"BackendTrafficPolicy shop/greeter", "bad duration", "spec.traffic"},
		},
		"another traffic policy is older": {
			change:  func(s *stage) { refuse(s.policy(), "Accepted", "Conflicted", "another one targets it") },
			exposed: "False/PolicyNotAccepted", passing: stalled, served: true, words: []string{"remove the older BackendTrafficPolicy"},
		},
		"nobody has looked at the traffic policy": {
			change: func(s *stage) { s.live.TrafficPolicy.Status.Ancestors = nil }, exposed: "Unknown/Pending", passing: reconciling,
		},
		"the traffic policy is not there yet": {
			change: func(s *stage) { s.live.TrafficPolicy = nil }, exposed: "Unknown/Pending", passing: reconciling,
		},
		"the proxy is refused": {
			change:  func(s *stage) { refuse(s.proxy(), "Accepted", "InvalidParameters", "bad image") },
			exposed: "False/PolicyNotAccepted", passing: stalled, served: true, words: []string{"EnvoyProxy shop/greeter", "spec.gateway.proxy"},
		},
		"nobody speaks of the proxy": {
			change: func(s *stage) { s.live.Proxy.Status.Ancestors = nil }, exposed: "True/Exposed",
		},
		"the patch is refused": {
			change:  func(s *stage) { refuse(s.patch(), "Accepted", "Invalid", "wrong target") },
			exposed: "False/PolicyNotAccepted", passing: stalled, served: true, words: []string{"EnvoyPatchPolicy shop/greeter", "wrong target"},
		},
		"the patch finds nothing to patch": {
			change:  func(s *stage) { refuse(s.patch(), "Programmed", "ResourceNotFound", "Unable to find xds resources") },
			exposed: "False/PolicyNotAccepted", passing: reconciling, served: true,
		},
		"the fallback is refused": {
			change:  func(s *stage) { refuse(&s.live.Backends[0].Status.Conditions, "Accepted", "Invalid", "bad address") },
			exposed: "False/PolicyNotAccepted", passing: stalled, served: true, words: []string{"Backend shop/greeter-fallback", "bad address"},
		},
		"patches are off, and priorities are less sharp": {
			change:  func(s *stage) { refuse(s.patch(), "Accepted", "Disabled", "EnvoyPatchPolicy is disabled") },
			exposed: "True/Exposed",
		},
		"Gateways are merged, and the patch is for the class": {
			change: func(s *stage) { s.merge("envoy") }, exposed: "True/Exposed",
		},
		"Gateways are merged, and nobody has looked at the patch": {
			change:  func(s *stage) { s.merge("envoy"); s.live.MergedClass = "other" },
			exposed: "Unknown/Pending", passing: reconciling,
		},
		"Gateways are merged, and another one has the port": {
			change: func(s *stage) {
				s.merge("envoy")
				refuse(s.listener(0), "Accepted", "HostnameConflict", "All listeners for a given port must use a unique hostname")
			},
			exposed: "False/ListenerNotReady", passing: stalled, words: []string{"GatewayClass envoy", "spec.gateway.listener.port"},
		},
		"Gateways are merged by Envoy Gateway's own configuration": {
			change: func(s *stage) {
				s.merge("greeter")
				s.live.MergedClass = ""
				refuse(s.patch(), "Accepted", "Invalid", "TargetRef.Kind:Gateway not found or not accepted (MergeGateways=true).")
			},
			exposed: "True/Exposed",
		},
		"nobody has looked at the newest endpoints of the fallback": {
			change: func(s *stage) { s.live.Backends[0].Generation++ }, exposed: "True/Exposed",
		},

		"with weights, patch and fallback are there only to be looked at": {
			change: func(s *stage) {
				s.weights()
				refuse(s.patch(), "Accepted", "Disabled", "EnvoyPatchPolicy is disabled")
				refuse(s.route(), "ResolvedRefs", "UnsupportedValue", "Backend is disabled in Envoy Gateway configuration.")
				s.live.Backends[0].Status.Conditions = nil
			},
			exposed: "True/Exposed",
		},
		"with weights, a host that does not resolve is trouble": {
			change: func(s *stage) {
				s.weights()
				s.live.Route.Spec.Rules[0].BackendRefs[0].Weight = ptr.To(int32(5))
				refuse(s.route(), "ResolvedRefs", "UnsupportedValue", "Backend is disabled in Envoy Gateway configuration.")
			},
			exposed: "False/RefsNotResolved", passing: stalled,
		},
		"another implementation makes no policies": {
			change: func(s *stage) {
				s.weights()
				s.expansion.Objects = s.expansion.Objects[:0]
				s.live = gateway.Live{Gateway: s.live.Gateway, Route: s.live.Route}
			},
			exposed: "True/Exposed",
		},
		"refusals come before what is not said yet": {
			change:  func(s *stage) { *s.gateway() = nil; refuse(s.route(), "Accepted", "NotAllowedByListeners", "no") },
			exposed: "False/RouteNotAccepted", passing: stalled,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.stage == nil {
				c.stage = ownedStage
			}
			if c.accepted == "" {
				c.accepted = "True/Accepted"
			}
			if c.resolved == "" {
				c.resolved = "True/ResolvedRefs"
			}
			s := c.stage()
			if c.change != nil {
				c.change(s)
			}
			verdict := s.judge()
			got := map[string]metav1.Condition{}
			for _, condition := range verdict.Conditions {
				if condition.ObservedGeneration != s.exs.Generation {
					t.Errorf("%s is of generation %d", condition.Type, condition.ObservedGeneration)
				}
				got[condition.Type] = condition
			}
			short := func(conditionType string) string {
				return fmt.Sprintf("%s/%s", got[conditionType].Status, got[conditionType].Reason)
			}
			if short("Accepted") != c.accepted || short("Exposed") != c.exposed {
				t.Errorf("Accepted is %s, want %s; Exposed is %s, want %s: %s", short("Accepted"), c.accepted, short("Exposed"), c.exposed, got["Exposed"].Message)
			}
			if short("ResolvedRefs") != c.resolved {
				t.Errorf("ResolvedRefs is %s, want %s", short("ResolvedRefs"), c.resolved)
			}
			for _, passing := range []string{stalled, reconciling} {
				if _, there := got[passing]; there != (passing == c.passing) {
					t.Errorf("%s is there: %v", passing, there)
				}
			}
			ready := got[v1alpha1.ConditionReady]
			if isReady := ready.Status == metav1.ConditionTrue; isReady != (c.passing == "" || c.served) {
				t.Errorf("Ready is %s: %s", short("Ready"), ready.Message)
			}
			said := ready.Message
			for _, conditionType := range []string{"Accepted", "ResolvedRefs", "Exposed"} {
				if isReady := ready.Status == metav1.ConditionTrue; isReady && got[conditionType].Status != metav1.ConditionTrue {
					said += got[conditionType].Message
				}
			}
			for _, word := range c.words {
				if !strings.Contains(said, word) {
					t.Errorf("nobody says %q: %s", word, said)
				}
			}
			if got[v1alpha1.ConditionPriorityFailover].Reason == "" {
				t.Errorf("no PriorityFailover in %v", verdict.Conditions)
			}
		})
	}
}

func TestPriorityFailoverCondition(t *testing.T) {
	for reason, want := range map[v1alpha1.Reason]metav1.ConditionStatus{
		v1alpha1.ReasonPriorities: metav1.ConditionTrue, v1alpha1.ReasonPatchNotPermitted: metav1.ConditionTrue,
		v1alpha1.ReasonUnknown: metav1.ConditionUnknown, "": metav1.ConditionUnknown,
		v1alpha1.ReasonSingleBackend: metav1.ConditionFalse, v1alpha1.ReasonNoFallback: metav1.ConditionFalse,
		v1alpha1.ReasonClassNotSupported: metav1.ConditionFalse, v1alpha1.ReasonHostBackend: metav1.ConditionFalse,
		v1alpha1.ReasonBackendAPIDisabled: metav1.ConditionFalse, v1alpha1.ReasonPatchAPIDisabled: metav1.ConditionTrue,
		v1alpha1.ReasonZoneAware: metav1.ConditionFalse, v1alpha1.ReasonMergedGatewaysNotSupported: metav1.ConditionTrue,
	} {
		s := ownedStage()
		s.expansion.FailoverReason = reason
		condition := meta.FindStatusCondition(s.judge().Conditions, v1alpha1.ConditionPriorityFailover)
		if condition == nil || condition.Status != want || condition.Reason == "" {
			t.Errorf("with reason %q it is %+v, want %s", reason, condition, want)
		}
	}
}

func TestVerdictFitsIntoTheStatus(t *testing.T) {
	s := ownedStage()
	s.expansion.Problems = []gateway.Problem{{Reason: v1alpha1.ReasonInvalidOverride, Message: strings.Repeat("ü", 40000)}}
	s.live.Gateway.Status.Addresses = make([]gwapiv1.GatewayStatusAddress, 20)
	verdict := s.judge()
	if len(verdict.Addresses) > 16 {
		t.Errorf("%d addresses", len(verdict.Addresses))
	}
	for _, condition := range verdict.Conditions {
		if len(condition.Message) > 32768 {
			t.Errorf("the message of %s has %d bytes", condition.Type, len(condition.Message))
		}
	}
}

// TestVerdictWithoutAGateway: the gateway was taken out of the spec, and what it had made is still there.
func TestVerdictWithoutAGateway(t *testing.T) {
	s := ownedStage()
	s.exs.Spec.Gateway, s.exs.Spec.XDS = nil, &v1alpha1.XDS{}
	s.expansion = gateway.Resolve(s.exs, gateway.Facts{}).Expand()
	verdict := s.judge()
	if c := meta.FindStatusCondition(verdict.Conditions, v1alpha1.ConditionAccepted); c == nil || c.Status != metav1.ConditionFalse {
		t.Errorf("Accepted is %v", c)
	}
}

// TestASilenceIsNoNewsAtOnce: after a change of weights nobody has looked at the route for a moment. Nothing is said of
// that unless it lasts, or the spec is new.
func TestASilenceIsNoNewsAtOnce(t *testing.T) {
	s := ownedStage()
	s.exs.Status.Conditions = s.judge().Conditions
	s.live.Route.Generation++

	first := s.judge()
	if first.SilentSince != noon || first.Again != 3*time.Second {
		t.Errorf("it is silent since %v, and looked at again in %s", first.SilentSince, first.Again)
	}
	if diff := cmp.Diff(s.exs.Status.Conditions, first.Conditions); diff != "" {
		t.Errorf("the conditions change at once: %s", diff)
	}
	at := func(after time.Duration) gateway.Verdict {
		return gateway.Judge(s.exs, gateway.Findings{Expansion: s.expansion, Live: s.live, Now: noon.Add(after), SilentSince: noon})
	}
	if again := at(2 * time.Second); again.Again != time.Second || !meta.IsStatusConditionTrue(again.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("after two seconds it is %+v", again)
	}
	late := at(3 * time.Second)
	for _, conditionType := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionExposed} {
		if c := meta.FindStatusCondition(late.Conditions, conditionType); c == nil || c.Status != metav1.ConditionUnknown || c.Reason != "Pending" {
			t.Errorf("after three seconds it is %+v", c)
		}
	}
	if late.SilentSince != noon || late.Again != 0 {
		t.Errorf("then it is silent since %v, and looked at again in %s", late.SilentSince, late.Again)
	}

	s.exs.Generation++
	if c := meta.FindStatusCondition(s.judge().Conditions, v1alpha1.ConditionExposed); c.Status != metav1.ConditionUnknown {
		t.Errorf("of a new spec it says %+v", c)
	}
	s.live.Route.Generation--
	if spoken := at(time.Second); !spoken.SilentSince.IsZero() || spoken.Again != 0 {
		t.Errorf("when everybody has spoken it is %+v", spoken)
	}
}
