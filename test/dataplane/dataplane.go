// Package dataplane is Envoy Gateway without Envoys, for tests of the operator: it writes the statuses that Envoy
// Gateway 1.9 writes, in the same words and under the same circumstances.
package dataplane

import (
	"context"
	"sync"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Config is what a DataPlane is started with.
type Config struct {
	// Config and Client reach the API server.
	Config *rest.Config
	Client client.Client
	// Class is the GatewayClass whose Gateways it serves.
	Class string
	// Namespaces are those that it looks into; empty: all.
	Namespaces []string
}

// Behavior is what tests change while it runs.
type Behavior struct {
	// BackendsOff and PatchesOff: extensionApis of Envoy Gateway's configuration.
	BackendsOff, PatchesOff bool
	// NotAllowed is the name of a route that no listener admits.
	NotAllowed string
	// Silent: it writes nothing.
	Silent bool
}

// DataPlane judges the objects of one class.
type DataPlane struct {
	t      testing.TB
	config Config
	// seen are the objects as the API server has told of them.
	seen client.Reader
	// told: something has changed since the last look.
	told chan struct{}

	mu       sync.Mutex
	behavior Behavior
}

// Start runs one until the test ends. All kinds have to be there.
func Start(t testing.TB, config Config) *DataPlane {
	t.Helper()
	options := cache.Options{Scheme: config.Client.Scheme(), Mapper: config.Client.RESTMapper()}
	for _, namespace := range config.Namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	objects, err := cache.New(config.Config, options)
	if err != nil {
		t.Fatal(err)
	}
	d := &DataPlane{t: t, config: config, seen: objects, told: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, kind := range []client.Object{
		&gwapiv1.Gateway{}, &gwapiv1.GRPCRoute{}, &egv1a1.EnvoyProxy{}, &egv1a1.EnvoyPatchPolicy{}, &egv1a1.BackendTrafficPolicy{}, &egv1a1.Backend{},
	} {
		informer, err := objects.GetInformer(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { d.tell() }, UpdateFunc: func(any, any) { d.tell() }, DeleteFunc: func(any) { d.tell() },
		}); err != nil {
			t.Fatal(err)
		}
	}
	running.Go(func() {
		if err := objects.Start(ctx); err != nil {
			t.Errorf("the data plane cannot watch: %v", err)
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

func (d *DataPlane) tell() {
	select {
	case d.told <- struct{}{}:
	default:
	}
}

// Set changes how it behaves, and has it look at everything.
func (d *DataPlane) Set(f func(*Behavior)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.behavior)
	d.tell()
}

// look judges everything that belongs to Gateways of the class.
func (d *DataPlane) look(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.behavior.Silent {
		return
	}
	var gateways gwapiv1.GatewayList
	if d.seen.List(ctx, &gateways) != nil {
		return
	}
	for i := range gateways.Items {
		gw := &gateways.Items[i]
		if string(gw.Spec.GatewayClassName) != d.config.Class {
			continue
		}
		d.judge(ctx, gw, func() { judgeGateway(gw) })
		d.lookAtRoutes(ctx, gw)
		Each(ctx, d.seen, &egv1a1.EnvoyProxyList{}, gw.Namespace, func(proxy *egv1a1.EnvoyProxy) {
			d.judge(ctx, proxy, func() {
				ancestor := egv1a1.EnvoyProxyAncestorStatus{AncestorRef: ancestorRef(gw)}
				if len(proxy.Status.Ancestors) > 0 {
					ancestor = proxy.Status.Ancestors[0]
				}
				set(&ancestor.Conditions, proxy.Generation, "Accepted", true, "Accepted", "EnvoyProxy has been accepted.")
				proxy.Status.Ancestors = []egv1a1.EnvoyProxyAncestorStatus{ancestor}
			})
		})
		Each(ctx, d.seen, &egv1a1.EnvoyPatchPolicyList{}, gw.Namespace, func(policy *egv1a1.EnvoyPatchPolicy) {
			if string(policy.Spec.TargetRef.Name) == gw.Name {
				d.judge(ctx, policy, func() { d.judgePatch(policy, gw) })
			}
		})
	}
}

func (d *DataPlane) lookAtRoutes(ctx context.Context, gw *gwapiv1.Gateway) {
	Each(ctx, d.seen, &gwapiv1.GRPCRouteList{}, "", func(route *gwapiv1.GRPCRoute) {
		parent := route.Spec.ParentRefs[0]
		if string(parent.Name) != gw.Name || string(ptr.Deref(parent.Namespace, gwapiv1.Namespace(route.Namespace))) != gw.Namespace {
			return
		}
		d.judge(ctx, route, func() { d.judgeRoute(route) })
		Each(ctx, d.seen, &egv1a1.BackendTrafficPolicyList{}, route.Namespace, func(policy *egv1a1.BackendTrafficPolicy) {
			if string(policy.Spec.TargetRefs[0].Name) == route.Name {
				d.judge(ctx, policy, func() {
					ancestor := ancestorOf(&policy.Status, gw)
					set(&ancestor.Conditions, policy.Generation, "Accepted", true, "Accepted", "Policy has been accepted.")
				})
			}
		})
		for _, name := range backendsOf(route) {
			backend := &egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Namespace: route.Namespace, Name: name}}
			if d.behavior.BackendsOff || d.seen.Get(ctx, client.ObjectKeyFromObject(backend), backend) != nil {
				continue
			}
			d.judge(ctx, backend, func() {
				set(&backend.Status.Conditions, backend.Generation, "Accepted", true, "Accepted", "The Backend was accepted")
			})
		}
	})
}

// judge changes the status of an object and writes it, if it has changed.
func (d *DataPlane) judge(ctx context.Context, object client.Object, f func()) {
	if object.GetDeletionTimestamp() != nil {
		return
	}
	before := object.DeepCopyObject()
	f()
	if equality.Semantic.DeepEqual(before, object) {
		return
	}
	if err := d.config.Client.Status().Update(ctx, object); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		d.t.Errorf("the data plane cannot write the status of %T %s: %v", object, object.GetName(), err)
	}
}

// Each calls a function with every object of a kind in a namespace.
func Each[T client.Object](ctx context.Context, seen client.Reader, list client.ObjectList, namespace string, f func(T)) {
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
