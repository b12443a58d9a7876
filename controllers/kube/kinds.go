package kube

import (
	"slices"
	"sync"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/controllers/peers"
	"github.com/headgate/headgate/gateway"
)

// Kind is a kind of object that Headgate reads or makes.
type Kind struct {
	// GVK names it.
	GVK schema.GroupVersionKind
	// CRD is the name of the CustomResourceDefinition; empty for built-in kinds, which are always there.
	CRD string
	// Made: Headgate makes objects of this kind.
	Made bool
	// NewObject and NewList return empty ones.
	NewObject func() client.Object
	NewList   func() client.ObjectList
}

// Optional says that not every cluster has it.
func (k Kind) Optional() bool { return k.CRD != "" }

// Ref names an object of the kind.
func (k Kind) Ref(object client.Object) gateway.Ref {
	return gateway.Ref{Group: k.GVK.Group, Kind: k.GVK.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

func newKind[T any, L any, PT interface {
	*T
	client.Object
}, PL interface {
	*L
	client.ObjectList
}](gv schema.GroupVersion, name, resource string, made bool) Kind {
	k := Kind{
		GVK: gv.WithKind(name), Made: made,
		NewObject: func() client.Object { return PT(new(T)) },
		NewList:   func() client.ObjectList { return PL(new(L)) },
	}
	if resource != "" {
		k.CRD = resource + "." + gv.Group
	}
	return k
}

// The kinds, those that are made in the order in which they are removed: what refers to something
// goes before what it refers to.
var (
	KindTrafficPolicy = newKind[egv1a1.BackendTrafficPolicy, egv1a1.BackendTrafficPolicyList](
		egv1a1.GroupVersion, gateway.KindBackendTrafficPolicy, "backendtrafficpolicies", true)
	KindPatchPolicy = newKind[egv1a1.EnvoyPatchPolicy, egv1a1.EnvoyPatchPolicyList](
		egv1a1.GroupVersion, gateway.KindEnvoyPatchPolicy, "envoypatchpolicies", true)
	KindRoute = newKind[gwapiv1.GRPCRoute, gwapiv1.GRPCRouteList](
		schema.GroupVersion(gwapiv1.GroupVersion), gateway.KindGRPCRoute, "grpcroutes", true)
	KindBackend = newKind[egv1a1.Backend, egv1a1.BackendList](
		egv1a1.GroupVersion, gateway.KindBackend, "backends", true)
	KindEndpointSlice = newKind[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](
		discoveryv1.SchemeGroupVersion, gateway.KindEndpointSlice, "", true)
	KindService = newKind[corev1.Service, corev1.ServiceList](
		corev1.SchemeGroupVersion, gateway.KindService, "", true)
	// KindDeployment is that of what is rolled out. Headgate itself makes none: those of its making are canaries of versions before this one.
	KindDeployment = newKind[appsv1.Deployment, appsv1.DeploymentList](
		appsv1.SchemeGroupVersion, "Deployment", "", true)
	KindGateway = newKind[gwapiv1.Gateway, gwapiv1.GatewayList](
		schema.GroupVersion(gwapiv1.GroupVersion), gateway.KindGateway, "gateways", true)
	KindProxy = newKind[egv1a1.EnvoyProxy, egv1a1.EnvoyProxyList](
		egv1a1.GroupVersion, gateway.KindEnvoyProxy, "envoyproxies", true)
	KindClass = newKind[gwapiv1.GatewayClass, gwapiv1.GatewayClassList](
		schema.GroupVersion(gwapiv1.GroupVersion), "GatewayClass", "gatewayclasses", false)
	// KindGrant is read in the version that the cluster serves: older releases of Gateway API
	// have only v1beta1.
	KindGrant = newKind[gwapiv1.ReferenceGrant, gwapiv1.ReferenceGrantList](
		schema.GroupVersion(gwapiv1.GroupVersion), "ReferenceGrant", "referencegrants", false)
	KindGrantBeta = newKind[gwapiv1beta1.ReferenceGrant, gwapiv1beta1.ReferenceGrantList](
		schema.GroupVersion(gwapiv1beta1.GroupVersion), "ReferenceGrant", "referencegrants", false)
	// KindHTTPRoute is that of routes of others, on the same Gateways.
	KindHTTPRoute = newKind[gwapiv1.HTTPRoute, gwapiv1.HTTPRouteList](
		schema.GroupVersion(gwapiv1.GroupVersion), "HTTPRoute", "httproutes", false)
	KindImport = newKind[mcsv1alpha1.ServiceImport, mcsv1alpha1.ServiceImportList](
		schema.GroupVersion(mcsv1alpha1.GroupVersion), gateway.KindServiceImport, mcsv1alpha1.ServiceImportPluralName, false)
)

// Kinds of others that ship versions, and may manage the same Deployment.
var (
	KindFlaggerCanary = newKind[peers.FlaggerCanary, peers.FlaggerCanaryList](peers.FlaggerVersion, "Canary", "canaries", false)
	KindArgoRollout   = newKind[peers.ArgoRollout, peers.ArgoRolloutList](peers.ArgoVersion, "Rollout", "rollouts", false)
)

// AllKinds are all of them.
var AllKinds = []Kind{
	KindTrafficPolicy, KindPatchPolicy, KindRoute, KindBackend, KindEndpointSlice, KindService, KindDeployment, KindGateway, KindProxy,
	KindClass, KindGrant, KindGrantBeta, KindHTTPRoute, KindImport, KindFlaggerCanary, KindArgoRollout,
}

// RolloutKinds are those that only rollouts of Deployments need.
func RolloutKinds() []Kind { return []Kind{KindDeployment, KindFlaggerCanary, KindArgoRollout} }

// MadeKinds are the kinds that Headgate makes objects of, in the order of their removal.
func MadeKinds() []Kind {
	return slices.DeleteFunc(slices.Clone(AllKinds), func(k Kind) bool { return !k.Made })
}

// KindOf finds the kind of an object that an expansion holds.
func KindOf(object gateway.Object) (Kind, bool) {
	gvk := object.GetObjectKind().GroupVersionKind()
	i := slices.IndexFunc(AllKinds, func(k Kind) bool { return k.Made && k.GVK == gvk })
	if i < 0 {
		return Kind{}, false
	}
	return AllKinds[i], true
}

// ServedKinds remembers which kinds the cluster has and which of them are in the cache. Asking for
// a kind that is not would cost a discovery request each time.
type ServedKinds struct {
	// off are kinds that Headgate has no rights to, and never asks for.
	off []Kind

	mu     sync.RWMutex
	served map[schema.GroupVersionKind]bool
}

// NewServedKinds knows of no kind yet. Those that are off are never asked for.
func NewServedKinds(off []Kind) *ServedKinds {
	return &ServedKinds{off: off, served: map[schema.GroupVersionKind]bool{}}
}

// IsOff says whether a kind is never asked for.
func (s *ServedKinds) IsOff(k Kind) bool {
	return slices.ContainsFunc(s.off, func(off Kind) bool { return off.GVK == k.GVK })
}

// Has says whether objects of a kind can be read.
func (s *ServedKinds) Has(k Kind) bool {
	if !k.Optional() || s.IsOff(k) {
		return !s.IsOff(k)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.served[k.GVK]
}

// Set notes whether the cluster has a kind, and reports whether that is news.
func (s *ServedKinds) Set(k Kind, served bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.served[k.GVK] != served
	s.served[k.GVK] = served
	return changed
}

// GatewayAPI says whether the cluster has Gateway API, as far as it is needed.
func (s *ServedKinds) GatewayAPI() bool {
	return s.Has(KindGateway) && s.Has(KindClass) && s.Has(KindRoute)
}
