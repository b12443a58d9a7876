package controllers

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

	"github.com/headgate/headgate/gateway"
)

// kind is a kind of object that the exposure controller reads or makes.
type kind struct {
	gvk schema.GroupVersionKind
	// crd is the name of the CustomResourceDefinition; empty for built-in kinds, which are always there.
	crd string
	// made: Headgate makes objects of this kind.
	made bool
	// newObject and newList return empty ones.
	newObject func() client.Object
	newList   func() client.ObjectList
}

func (k kind) optional() bool { return k.crd != "" }

// ref names an object of the kind.
func (k kind) ref(object client.Object) gateway.Ref {
	return gateway.Ref{Group: k.gvk.Group, Kind: k.gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

func newKind[T any, L any, PT interface {
	*T
	client.Object
}, PL interface {
	*L
	client.ObjectList
}](gv schema.GroupVersion, name, resource string, made bool) kind {
	k := kind{
		gvk: gv.WithKind(name), made: made,
		newObject: func() client.Object { return PT(new(T)) },
		newList:   func() client.ObjectList { return PL(new(L)) },
	}
	if resource != "" {
		k.crd = resource + "." + gv.Group
	}
	return k
}

// The kinds, those that are made in the order in which they are removed: what refers to something
// goes before what it refers to.
var (
	kindTrafficPolicy = newKind[egv1a1.BackendTrafficPolicy, egv1a1.BackendTrafficPolicyList](
		egv1a1.GroupVersion, gateway.KindBackendTrafficPolicy, "backendtrafficpolicies", true)
	kindPatchPolicy = newKind[egv1a1.EnvoyPatchPolicy, egv1a1.EnvoyPatchPolicyList](
		egv1a1.GroupVersion, gateway.KindEnvoyPatchPolicy, "envoypatchpolicies", true)
	kindRoute = newKind[gwapiv1.GRPCRoute, gwapiv1.GRPCRouteList](
		schema.GroupVersion(gwapiv1.GroupVersion), gateway.KindGRPCRoute, "grpcroutes", true)
	kindBackend = newKind[egv1a1.Backend, egv1a1.BackendList](
		egv1a1.GroupVersion, gateway.KindBackend, "backends", true)
	kindEndpointSlice = newKind[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](
		discoveryv1.SchemeGroupVersion, gateway.KindEndpointSlice, "", true)
	kindService = newKind[corev1.Service, corev1.ServiceList](
		corev1.SchemeGroupVersion, gateway.KindService, "", true)
	// The canary of a rollout.
	kindDeployment = newKind[appsv1.Deployment, appsv1.DeploymentList](
		appsv1.SchemeGroupVersion, "Deployment", "", true)
	kindGateway = newKind[gwapiv1.Gateway, gwapiv1.GatewayList](
		schema.GroupVersion(gwapiv1.GroupVersion), gateway.KindGateway, "gateways", true)
	kindProxy = newKind[egv1a1.EnvoyProxy, egv1a1.EnvoyProxyList](
		egv1a1.GroupVersion, gateway.KindEnvoyProxy, "envoyproxies", true)
	kindClass = newKind[gwapiv1.GatewayClass, gwapiv1.GatewayClassList](
		schema.GroupVersion(gwapiv1.GroupVersion), "GatewayClass", "gatewayclasses", false)
	// ReferenceGrant is read in the version that the cluster serves: older releases of Gateway API
	// have only v1beta1.
	kindGrant = newKind[gwapiv1.ReferenceGrant, gwapiv1.ReferenceGrantList](
		schema.GroupVersion(gwapiv1.GroupVersion), "ReferenceGrant", "referencegrants", false)
	kindGrantBeta = newKind[gwapiv1beta1.ReferenceGrant, gwapiv1beta1.ReferenceGrantList](
		schema.GroupVersion(gwapiv1beta1.GroupVersion), "ReferenceGrant", "referencegrants", false)
	kindImport = newKind[mcsv1alpha1.ServiceImport, mcsv1alpha1.ServiceImportList](
		schema.GroupVersion(mcsv1alpha1.GroupVersion), gateway.KindServiceImport, mcsv1alpha1.ServiceImportPluralName, false)
)

// Others that ship versions, and may manage the same Deployment.
var (
	kindFlaggerCanary = newKind[flaggerCanary, flaggerCanaryList](flaggerVersion, "Canary", "canaries", false)
	kindArgoRollout   = newKind[argoRollout, argoRolloutList](argoVersion, "Rollout", "rollouts", false)
)

var allKinds = []kind{
	kindTrafficPolicy, kindPatchPolicy, kindRoute, kindBackend, kindEndpointSlice, kindService, kindDeployment, kindGateway, kindProxy,
	kindClass, kindGrant, kindGrantBeta, kindImport, kindFlaggerCanary, kindArgoRollout,
}

// rolloutKinds are those that only rollouts of Deployments need.
func rolloutKinds() []kind { return []kind{kindDeployment, kindFlaggerCanary, kindArgoRollout} }

// madeKinds are the kinds that Headgate makes objects of, in the order of their removal.
func madeKinds() []kind {
	return slices.DeleteFunc(slices.Clone(allKinds), func(k kind) bool { return !k.made })
}

// kindOf finds the kind of an object that an expansion holds.
func kindOf(object gateway.Object) (kind, bool) {
	gvk := object.GetObjectKind().GroupVersionKind()
	i := slices.IndexFunc(allKinds, func(k kind) bool { return k.made && k.gvk == gvk })
	if i < 0 {
		return kind{}, false
	}
	return allKinds[i], true
}

// servedKinds remembers which kinds the cluster has and which of them are in the cache. Asking for
// a kind that is not would cost a discovery request each time.
type servedKinds struct {
	// off are kinds that Headgate has no rights to, and never asks for.
	off []kind

	mu     sync.RWMutex
	served map[schema.GroupVersionKind]bool
}

func newServedKinds(off []kind) *servedKinds {
	return &servedKinds{off: off, served: map[schema.GroupVersionKind]bool{}}
}

// isOff says whether a kind is never asked for.
func (s *servedKinds) isOff(k kind) bool {
	return slices.ContainsFunc(s.off, func(off kind) bool { return off.gvk == k.gvk })
}

func (s *servedKinds) has(k kind) bool {
	if !k.optional() || s.isOff(k) {
		return !s.isOff(k)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.served[k.gvk]
}

// set reports whether that is news.
func (s *servedKinds) set(k kind, served bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.served[k.gvk] != served
	s.served[k.gvk] = served
	return changed
}

// gatewayAPI says whether the cluster has Gateway API, as far as it is needed.
func (s *servedKinds) gatewayAPI() bool {
	return s.has(kindGateway) && s.has(kindClass) && s.has(kindRoute)
}
