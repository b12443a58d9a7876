package controllers

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// mapper leads from a changed object to the ExposedServices that it matters to, by the indexes of
// the cache. It reads the cache itself: a handler of events must not wait for other events.
type mapper struct {
	cache client.Reader
	names *takenNames
	// stirred notes when an event came that a decision may follow; nil: nobody decides.
	stirred *stirred
	clock   clock.PassiveClock
}

// handlerFor says who is to be looked at again when an object of a kind changes.
func (m mapper) handlerFor(k kind) handler.EventHandler {
	switch k.gvk {
	case kindService.gvk:
		return m.handler(k, m.usersOfService)
	case kindEndpointSlice.gvk:
		return m.handler(k, m.usersOfSlice)
	case kindImport.gvk:
		return m.handler(k, m.usersOfImport)
	case kindGateway.gvk:
		return m.handler(k, m.usersOfGateway)
	case kindClass.gvk:
		return m.handler(k, m.usersOfClass)
	case kindDeployment.gvk:
		return m.handler(k, m.usersOfDeployment)
	case kindFlaggerCanary.gvk, kindArgoRollout.gvk:
		return m.handler(k, m.usersOfManaged)
	case kindGrant.gvk, kindGrantBeta.gvk:
		return m.handler(k, m.usersOfNamespace)
	}
	return m.handler(k, nil)
}

// handler leads to the owners of an object, to those who wait for its name, and to its users.
func (m mapper) handler(k kind, users func(context.Context, client.Object) []types.NamespacedName) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		var names []types.NamespacedName
		if k.made {
			names = append(ownersOf(object), m.names.waitersFor(k.ref(object))...)
		}
		if users != nil {
			names = append(names, users(ctx, object)...)
		}
		if k.gvk == kindEndpointSlice.gvk && m.stirred != nil {
			m.stirred.note(names, m.clock.Now())
		}
		return requests(names)
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
func (m mapper) find(ctx context.Context, index, value string) []types.NamespacedName {
	var list v1alpha1.ExposedServiceList
	if err := m.cache.List(ctx, &list, client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy); err != nil {
		// Only a cache that has stopped fails.
		logf.FromContext(ctx).Error(err, "look up ExposedServices", "index", index, "value", value)
		return nil
	}
	names := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
	}
	return names
}

func (m mapper) usersOfService(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, indexBackend, client.ObjectKeyFromObject(object).String())
}

func (m mapper) usersOfImport(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, indexImport, client.ObjectKeyFromObject(object).String())
}

// usersOfSlice: the cluster copies the labels of a Service to its EndpointSlices, so that those of
// our own Services lead to their owner as well.
func (m mapper) usersOfSlice(ctx context.Context, object client.Object) []types.NamespacedName {
	var names []types.NamespacedName
	for label, index := range map[string]string{
		discoveryv1.LabelServiceName: indexBackend, mcsv1alpha1.LabelServiceName: indexImport,
	} {
		if name := object.GetLabels()[label]; name != "" {
			names = append(names, m.find(ctx, index, types.NamespacedName{Namespace: object.GetNamespace(), Name: name}.String())...)
		}
	}
	return names
}

func (m mapper) usersOfGateway(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, indexGateway, client.ObjectKeyFromObject(object).String())
}

func (m mapper) usersOfNamespace(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, indexNamespace, object.GetNamespace())
}

// usersOfClass are those that name the class and those on a Gateway that does.
func (m mapper) usersOfClass(ctx context.Context, object client.Object) []types.NamespacedName {
	names := m.find(ctx, indexClass, object.GetName())
	var gateways gwapiv1.GatewayList
	if err := m.cache.List(ctx, &gateways, client.MatchingFields{indexClass: object.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "look up Gateways", "class", object.GetName())
		return names
	}
	for i := range gateways.Items {
		names = append(names, m.usersOfGateway(ctx, &gateways.Items[i])...)
	}
	return names
}

// rivals are the ExposedServices that claim the same calls: when one goes, another may have them.
func (m mapper) rivals() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		exs, ok := object.(*v1alpha1.ExposedService)
		if !ok {
			return nil
		}
		var names []types.NamespacedName
		for _, claim := range routeClaims(exs) {
			for _, name := range m.find(ctx, indexRoute, claim) {
				if name != client.ObjectKeyFromObject(exs) {
					names = append(names, name)
				}
			}
		}
		return requests(names)
	})
}

// all enqueues every ExposedService.
func (m mapper) all() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request {
		var list v1alpha1.ExposedServiceList
		if err := m.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			logf.FromContext(ctx).Error(err, "list ExposedServices")
			return nil
		}
		var names []types.NamespacedName
		for i := range list.Items {
			names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
		}
		return requests(names)
	})
}

// decisionMatters lets through changes of the spec, and of the decision in the status, whoever made
// them. What else is written into the status wakes nobody.
func decisionMatters() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && !equality.Semantic.DeepEqual(before.Status.Traffic, after.Status.Traffic)
	}})
}

// clientsMatter lets through what replicas report of their xDS clients, to the one who sums it up.
func clientsMatter() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && !equality.Semantic.DeepEqual(replicasOf(before), replicasOf(after))
	}}
}

func replicasOf(exs *v1alpha1.ExposedService) []v1alpha1.XDSReplica {
	if exs.Status.XDS == nil {
		return nil
	}
	return exs.Status.XDS.Replicas
}

// servedMatters lets through changes of the spec and of the decision, which the xDS feed follows.
func servedMatters() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && decisionMoved(before, after)
	}})
}

// gatewayMatters leaves out changes of a Gateway that concern only the number of its routes: with
// many ExposedServices on one Gateway each of them would otherwise wake all the others.
func gatewayMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasGateway := e.ObjectOld.(*gwapiv1.Gateway)
		after, isGateway := e.ObjectNew.(*gwapiv1.Gateway)
		if !wasGateway || !isGateway {
			return true
		}
		if before.ResourceVersion == after.ResourceVersion {
			// A resync of the cache: the occasion to look at everything.
			return true
		}
		return !equality.Semantic.DeepEqual(withoutCounts(before), withoutCounts(after))
	}}
}

func withoutCounts(gateway *gwapiv1.Gateway) *gwapiv1.Gateway {
	out := gateway.DeepCopy()
	out.ResourceVersion = ""
	for i := range out.Status.Listeners {
		out.Status.Listeners[i].AttachedRoutes = 0
	}
	return out
}
