package index

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/peers"
)

// Mapper leads from a changed object to the ExposedServices that it matters to, by the indexes of
// the cache. It reads the cache itself: a handler of events must not wait for other events.
type Mapper struct {
	Cache client.Reader
	// Claims knows who claims the same calls.
	Claims *Claims
	// Waiters are who waits for a name; nil: nobody does.
	Waiters *Waiters
	// Noted, if set, is told of events that a decision may follow.
	Noted func([]types.NamespacedName)
}

// HandlerFor says who is to be looked at again when an object of a kind changes.
func (m Mapper) HandlerFor(k kube.Kind) handler.EventHandler {
	switch k.GVK {
	case kube.KindService.GVK:
		return m.handler(k, m.usersOfService)
	case kube.KindEndpointSlice.GVK:
		return m.handler(k, m.usersOfSlice)
	case kube.KindImport.GVK:
		return m.handler(k, m.usersOfImport)
	case kube.KindGateway.GVK:
		return m.handler(k, m.usersOfGateway)
	case kube.KindRoute.GVK, kube.KindHTTPRoute.GVK:
		return m.handler(k, m.rivalsOfRoute)
	case kube.KindClass.GVK:
		return m.handler(k, m.usersOfClass)
	case kube.KindTrafficPolicy.GVK:
		return m.handler(k, m.usersOfPolicy)
	case kube.KindProxy.GVK:
		return m.handler(k, m.usersOfProxy)
	case kube.KindDeployment.GVK:
		return m.handler(k, m.usersOfDeployment)
	case kube.KindFlaggerCanary.GVK, kube.KindArgoRollout.GVK:
		return m.handler(k, m.usersOfManaged)
	case kube.KindGrant.GVK, kube.KindGrantBeta.GVK:
		return m.handler(k, m.usersOfNamespace)
	}
	return m.handler(k, nil)
}

// handler leads to the owners of an object, to those who wait for its name, and to its users.
func (m Mapper) handler(k kube.Kind, users func(context.Context, client.Object) []types.NamespacedName) handler.EventHandler {
	names := func(ctx context.Context, object client.Object) []types.NamespacedName {
		var out []types.NamespacedName
		if k.Made {
			out = append(kube.OwnersOf(object), m.Waiters.For(k.Ref(object))...)
		}
		if users != nil {
			out = append(out, users(ctx, object)...)
		}
		return out
	}
	if k.GVK == kube.KindEndpointSlice.GVK {
		return endpointHandler{names: names, noted: m.Noted}
	}
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		return requests(names(ctx, object))
	})
}

func requests(names []types.NamespacedName) []reconcile.Request {
	seen := map[types.NamespacedName]bool{}
	var out []reconcile.Request
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, reconcile.Request{NamespacedName: name})
		}
	}
	return out
}

// find looks up ExposedServices by an index.
func (m Mapper) find(ctx context.Context, index, value string) []types.NamespacedName {
	return m.list(ctx, client.MatchingFields{index: value})
}

func (m Mapper) usersOfService(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, ByBackend, client.ObjectKeyFromObject(object).String())
}

func (m Mapper) usersOfImport(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, ByImport, client.ObjectKeyFromObject(object).String())
}

// usersOfSlice: the cluster copies the labels of a Service to its EndpointSlices, so that those of
// our own Services lead to their owner as well.
func (m Mapper) usersOfSlice(ctx context.Context, object client.Object) []types.NamespacedName {
	var names []types.NamespacedName
	for label, index := range map[string]string{
		discoveryv1.LabelServiceName: ByBackend, mcsv1alpha1.LabelServiceName: ByImport,
	} {
		if name := object.GetLabels()[label]; name != "" {
			names = append(names, m.find(ctx, index, types.NamespacedName{Namespace: object.GetNamespace(), Name: name}.String())...)
		}
	}
	return names
}

func (m Mapper) usersOfGateway(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, ByGateway, client.ObjectKeyFromObject(object).String())
}

func (m Mapper) usersOfNamespace(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, ByNamespace, object.GetNamespace())
}

// usersOfClass are those that name the class and those on a Gateway that does.
func (m Mapper) usersOfClass(ctx context.Context, object client.Object) []types.NamespacedName {
	names := m.find(ctx, ByClass, object.GetName())
	var gateways gwapiv1.GatewayList
	if err := m.Cache.List(ctx, &gateways, client.MatchingFields{ByClass: object.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "look up Gateways", "class", object.GetName())
		return names
	}
	for i := range gateways.Items {
		names = append(names, m.usersOfGateway(ctx, &gateways.Items[i])...)
	}
	return names
}

// rivalsOfRoute are those who want calls that a route has: when it lets them go, or is refused, another may have them.
func (m Mapper) rivalsOfRoute(ctx context.Context, object client.Object) []types.NamespacedName {
	return named(ctx)(m.Claims.WantThoseOf(ctx, m.Cache, object))
}

// named are the names of ExposedServices that were looked up.
func named(ctx context.Context) func([]*v1alpha1.ExposedService, error) []types.NamespacedName {
	return func(found []*v1alpha1.ExposedService, err error) []types.NamespacedName {
		if err != nil {
			// Only a cache that has stopped fails.
			logf.FromContext(ctx).Error(err, "look up the rivals of an ExposedService")
			return nil
		}
		names := make([]types.NamespacedName, 0, len(found))
		for _, exs := range found {
			names = append(names, client.ObjectKeyFromObject(exs))
		}
		return names
	}
}

// list looks up ExposedServices, by whatever options.
func (m Mapper) list(ctx context.Context, options ...client.ListOption) []types.NamespacedName {
	var list v1alpha1.ExposedServiceList
	if err := m.Cache.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		// Only a cache that has stopped fails.
		logf.FromContext(ctx).Error(err, "look up ExposedServices", "by", options)
		return nil
	}
	names := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return names
}

// usersOfDeployment are those that roll it out.
func (m Mapper) usersOfDeployment(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, ByWorkload, client.ObjectKeyFromObject(object).String())
}

// usersOfManaged are those that roll out a Deployment which an object of others manages.
func (m Mapper) usersOfManaged(ctx context.Context, object client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	for _, name := range peers.ManagedDeployment(object) {
		out = append(out, m.find(ctx, ByWorkload, name)...)
	}
	return out
}

// Rivals are the ExposedServices that claim the same calls: when one goes, another may have them.
func (m Mapper) Rivals() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		exs, ok := object.(*v1alpha1.ExposedService)
		if !ok {
			return nil
		}
		return requests(named(ctx)(m.Claims.Rivals(ctx, m.Cache, exs)))
	})
}

// InNamespace are the ExposedServices of a Namespace.
func (m Mapper) InNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return requests(m.list(ctx, client.InNamespace(namespace.GetName())))
}

// All enqueues every ExposedService.
func (m Mapper) All() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request { return requests(m.list(ctx)) })
}
