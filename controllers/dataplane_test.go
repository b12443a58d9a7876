package controllers

import (
	"context"
	"sync"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
)

// dataPlane writes the statuses that Envoy Gateway 1.9 writes, in the same words and under the same
// circumstances, for the objects of one class.
type dataPlane struct {
	w *world
	// seen are the objects as the API server has told of them.
	seen client.Reader
	// told: something has changed since the last look.
	told chan struct{}

	mu sync.Mutex
	// backendsOff and patchesOff: extensionApis of Envoy Gateway's configuration.
	backendsOff, patchesOff bool
	// notAllowed is the name of a route that no listener admits.
	notAllowed string
	// silent: it writes nothing.
	silent bool
}

// startDataPlane starts one that ends with the test. All kinds have to be there.
func startDataPlane(w *world) *dataPlane {
	w.t.Helper()
	objects, err := cache.New(w.config, cache.Options{Scheme: apiserver.Scheme(), Mapper: w.kube.RESTMapper()})
	if err != nil {
		w.t.Fatal(err)
	}
	d := &dataPlane{w: w, seen: objects, told: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.t.Cleanup(func() { cancel(); running.Wait() })
	for _, kind := range []client.Object{
		&gwapiv1.Gateway{}, &gwapiv1.GRPCRoute{}, &egv1a1.EnvoyProxy{}, &egv1a1.EnvoyPatchPolicy{}, &egv1a1.BackendTrafficPolicy{}, &egv1a1.Backend{},
	} {
		informer, err := objects.GetInformer(ctx, kind)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { d.tell() }, UpdateFunc: func(any, any) { d.tell() }, DeleteFunc: func(any) { d.tell() },
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	running.Go(func() {
		if err := objects.Start(ctx); err != nil {
			w.t.Errorf("the data plane cannot watch: %v", err)
		}
	})
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-d.told:
				d.look(ctx)
			}
		}
	})
	return d
}

func (d *dataPlane) tell() {
	select {
	case d.told <- struct{}{}:
	default:
	}
}

func (d *dataPlane) set(f func(*dataPlane)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
	d.tell()
}

// look judges everything that belongs to Gateways of the class.
func (d *dataPlane) look(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return
	}
	var gateways gwapiv1.GatewayList
	if d.seen.List(ctx, &gateways) != nil {
		return
	}
	for i := range gateways.Items {
		gw := &gateways.Items[i]
		if string(gw.Spec.GatewayClassName) != d.w.class {
			continue
		}
		d.judge(ctx, gw, func() { judgeGateway(gw) })
		d.lookAtRoutes(ctx, gw)
		each(ctx, d.seen, &egv1a1.EnvoyProxyList{}, gw.Namespace, func(proxy *egv1a1.EnvoyProxy) {
			d.judge(ctx, proxy, func() {
				ancestor := egv1a1.EnvoyProxyAncestorStatus{AncestorRef: ancestorRef(gw)}
				if len(proxy.Status.Ancestors) > 0 {
					ancestor = proxy.Status.Ancestors[0]
				}
				set(&ancestor.Conditions, proxy.Generation, "Accepted", true, "Accepted", "EnvoyProxy has been accepted.")
				proxy.Status.Ancestors = []egv1a1.EnvoyProxyAncestorStatus{ancestor}
			})
		})
		each(ctx, d.seen, &egv1a1.EnvoyPatchPolicyList{}, gw.Namespace, func(policy *egv1a1.EnvoyPatchPolicy) {
			if string(policy.Spec.TargetRef.Name) == gw.Name {
				d.judge(ctx, policy, func() { d.judgePatch(policy, gw) })
			}
		})
	}
}

func (d *dataPlane) lookAtRoutes(ctx context.Context, gw *gwapiv1.Gateway) {
	each(ctx, d.seen, &gwapiv1.GRPCRouteList{}, "", func(route *gwapiv1.GRPCRoute) {
		parent := route.Spec.ParentRefs[0]
		if string(parent.Name) != gw.Name || string(ptr.Deref(parent.Namespace, gwapiv1.Namespace(route.Namespace))) != gw.Namespace {
			return
		}
		d.judge(ctx, route, func() { d.judgeRoute(route) })
		each(ctx, d.seen, &egv1a1.BackendTrafficPolicyList{}, route.Namespace, func(policy *egv1a1.BackendTrafficPolicy) {
			if string(policy.Spec.TargetRefs[0].Name) == route.Name {
				d.judge(ctx, policy, func() {
					ancestor := ancestorOf(&policy.Status, gw)
					set(&ancestor.Conditions, policy.Generation, "Accepted", true, "Accepted", "Policy has been accepted.")
				})
			}
		})
		for _, name := range backendsOf(route) {
			backend := &egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Namespace: route.Namespace, Name: name}}
			if d.backendsOff || d.seen.Get(ctx, client.ObjectKeyFromObject(backend), backend) != nil {
				continue
			}
			d.judge(ctx, backend, func() {
				set(&backend.Status.Conditions, backend.Generation, "Accepted", true, "Accepted", "The Backend was accepted")
			})
		}
	})
}

// judge changes the status of an object and writes it, if it has changed.
func (d *dataPlane) judge(ctx context.Context, object client.Object, f func()) {
	if object.GetDeletionTimestamp() != nil {
		return
	}
	before := object.DeepCopyObject()
	f()
	if equality.Semantic.DeepEqual(before, object) {
		return
	}
	if err := d.w.kube.Status().Update(ctx, object); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		d.w.t.Errorf("the data plane cannot write the status of %T %s: %v", object, object.GetName(), err)
	}
}

func judgeGateway(gw *gwapiv1.Gateway) {
	set(&gw.Status.Conditions, gw.Generation, "Accepted", true, "Accepted", "The Gateway has been scheduled by Envoy Gateway")
	set(&gw.Status.Conditions, gw.Generation, "Programmed", true, "Programmed", "Address assigned to the Gateway, 1/1 envoy replicas available")
	gw.Status.Addresses = []gwapiv1.GatewayStatusAddress{{Type: ptr.To(gwapiv1.IPAddressType), Value: "192.0.2.10"}}
	statuses := gw.Status.Listeners
	gw.Status.Listeners = nil
	for _, listener := range gw.Spec.Listeners {
		status := gwapiv1.ListenerStatus{Name: listener.Name, SupportedKinds: []gwapiv1.RouteGroupKind{{Kind: "GRPCRoute"}}}
		for _, old := range statuses {
			if old.Name == listener.Name {
				status = old
			}
		}
		set(&status.Conditions, gw.Generation, "Programmed", true, "Programmed", "Sending translated listener configuration to the data plane")
		set(&status.Conditions, gw.Generation, "Accepted", true, "Accepted", "Listener has been successfully translated")
		set(&status.Conditions, gw.Generation, "ResolvedRefs", true, "ResolvedRefs", "Listener references have been resolved")
		gw.Status.Listeners = append(gw.Status.Listeners, status)
	}
}

func (d *dataPlane) judgeRoute(route *gwapiv1.GRPCRoute) {
	parent := gwapiv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: gateway.EnvoyGatewayController}
	if len(route.Status.Parents) > 0 && equality.Semantic.DeepEqual(route.Status.Parents[0].ParentRef, parent.ParentRef) {
		parent = route.Status.Parents[0]
	}
	set(&parent.Conditions, route.Generation, "Accepted", true, "Accepted", "Route is accepted")
	if route.Name == d.notAllowed {
		set(&parent.Conditions, route.Generation, "Accepted", false, "NotAllowedByListeners", "No listeners included by this parent ref allowed this attachment.")
	}
	if d.backendsOff && len(backendsOf(route)) > 0 {
		set(&parent.Conditions, route.Generation, "ResolvedRefs", false, "UnsupportedValue",
			"Failed to process route rule 0 backendRef 2: Backend is disabled in Envoy Gateway configuration.")
	} else {
		set(&parent.Conditions, route.Generation, "ResolvedRefs", true, "ResolvedRefs", "Resolved all the Object references for the Route")
	}
	route.Status.Parents = []gwapiv1.RouteParentStatus{parent}
}

func (d *dataPlane) judgePatch(policy *egv1a1.EnvoyPatchPolicy, gw *gwapiv1.Gateway) {
	if d.patchesOff {
		policy.Status.Ancestors = nil
		set(&ancestorOf(&policy.Status, gw).Conditions, policy.Generation, "Accepted", false, "Disabled",
			"EnvoyPatchPolicy is disabled in the EnvoyGateway configuration")
		return
	}
	ancestor := ancestorOf(&policy.Status, gw)
	set(&ancestor.Conditions, policy.Generation, "Accepted", true, "Accepted", "Policy has been accepted.")
	set(&ancestor.Conditions, policy.Generation, "Programmed", true, "Programmed", "Patches have been successfully applied.")
}

func ancestorOf(status *gwapiv1.PolicyStatus, gw *gwapiv1.Gateway) *gwapiv1.PolicyAncestorStatus {
	if len(status.Ancestors) == 0 {
		status.Ancestors = []gwapiv1.PolicyAncestorStatus{{AncestorRef: ancestorRef(gw), ControllerName: gateway.EnvoyGatewayController}}
	}
	return &status.Ancestors[0]
}

func ancestorRef(gw *gwapiv1.Gateway) gwapiv1.ParentReference {
	return gwapiv1.ParentReference{
		Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: ptr.To(gwapiv1.Kind("Gateway")),
		Namespace: ptr.To(gwapiv1.Namespace(gw.Namespace)), Name: gwapiv1.ObjectName(gw.Name),
	}
}

func backendsOf(route *gwapiv1.GRPCRoute) []string {
	var out []string
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			if ptr.Deref(ref.Kind, "Service") == "Backend" {
				out = append(out, string(ref.Name))
			}
		}
	}
	return out
}

func set(conditions *[]metav1.Condition, generation int64, conditionType string, status bool, reason, message string) {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: value, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}

// each calls a function with every object of a kind in a namespace.
func each[T client.Object](ctx context.Context, seen client.Reader, list client.ObjectList, namespace string, f func(T)) {
	if seen.List(ctx, list, client.InNamespace(namespace)) != nil {
		return
	}
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if object, ok := item.(T); ok {
			f(object)
		}
		return nil
	})
}
