package exposure

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// apply applies the objects in their order. One that fails stops what cannot do without it, and nothing else: what
// keeps live traffic right comes first.
func (r *run) apply(ctx context.Context) {
	wanted, tried, done := r.expansion.Objects, map[gateway.Ref]bool{}, map[gateway.Ref]bool{}
	for object := r.nextObject(tried); object != nil; object = r.nextObject(tried) {
		ref := gateway.RefOf(object)
		tried[ref] = true
		if done[ref] = r.applyOne(ctx, object); !done[ref] {
			r.expansion = r.expansion.Without(ref)
		}
	}
	r.unapplied = slices.DeleteFunc(slices.Clone(wanted), func(object gateway.Object) bool { return done[gateway.RefOf(object)] })
	if r.decided && !r.noted.IsZero() && r.exposing.Went() && r.shipping.Went() {
		// From an event to the objects that follow the decision which it led to.
		r.Metrics.DecisionLatency.Observe(r.Clock.Since(r.noted).Seconds())
	}
}

// nextObject is the first one that nobody has tried to apply; nil: there is none.
func (r *run) nextObject(tried map[gateway.Ref]bool) gateway.Object {
	for _, object := range r.expansion.Objects {
		if !tried[gateway.RefOf(object)] {
			return object
		}
	}
	return nil
}

// applyOne applies an object, and says whether it is as it should be now.
func (r *run) applyOne(ctx context.Context, object gateway.Object) bool {
	k, ok := kube.KindOf(object)
	if !ok || !r.Kinds.Has(k) {
		r.exposing.Failures = append(r.exposing.Failures, gateway.Failure{Final: true, Message: fmt.Sprintf(
			"the cluster does not have the kind %s: install the CustomResourceDefinitions of Envoy Gateway",
			object.GetObjectKind().GroupVersionKind())})
		return false
	}
	if object.GetNamespace() != r.exs.Namespace {
		if err := kube.HoldFinalizer(ctx, r.Client, r.exs); err != nil {
			r.exposing.Fail(err)
			return false
		}
	}
	if err := r.inventory.Apply(ctx, k, object); err != nil {
		r.exposing.Refused(gateway.PartDataPlane, object, err)
		return false
	}
	return true
}

// prune removes the objects of ours that the expansion neither has nor keeps. It comes after
// applying, so that nothing refers to them any more; what the route referred to stays until the
// data plane's controller has seen the new route, because it may hear of the removal first and
// answer calls with errors for that moment. What an object that could not be applied may still need stays, too.
func (r *run) prune(ctx context.Context) {
	if r.expansion.Blocked {
		return
	}
	seen := r.routeSeen()
	r.exposing.Merge(r.inventory.Prune(ctx, r.wants, func(k kube.Kind) bool {
		switch {
		case !seen && (isBehindRoute(k) || k.GVK == kube.KindDeployment.GVK):
			// Its status will change when it is seen, which leads here again.
			return true
		case !r.shipping.Went() && (k.GVK == kube.KindDeployment.GVK || k.GVK == kube.KindService.GVK):
			// The canary stays until the Deployment is as it is to be.
			return true
		}
		return mayNeed(r.unapplied, k)
	}))
}

// mayNeed says whether objects, as they were before, may need one of a kind: calls go on as they did while the route
// is the old one, and that needs everything but a Deployment.
func mayNeed(unapplied []gateway.Object, k kube.Kind) bool {
	return slices.ContainsFunc(unapplied, func(object gateway.Object) bool {
		switch object.GetObjectKind().GroupVersionKind() {
		case kube.KindRoute.GVK:
			return k.GVK != kube.KindDeployment.GVK
		case kube.KindGateway.GVK:
			return k.GVK == kube.KindProxy.GVK
		}
		return false
	})
}

// wants says whether an object is to be there, applied or kept.
func (r *run) wants(ref gateway.Ref) bool {
	for _, object := range r.expansion.Objects {
		if k, ok := kube.KindOf(object); ok && k.Ref(object) == ref {
			return true
		}
	}
	return slices.Contains(r.expansion.Kept, ref) || slices.Contains(r.shipping.Kept, ref)
}

// isBehindRoute: the route refers to objects of the kind.
func isBehindRoute(k kube.Kind) bool {
	return k.GVK == kube.KindService.GVK || k.GVK == kube.KindEndpointSlice.GVK || k.GVK == kube.KindBackend.GVK
}

// routeSeen says whether somebody has judged the route as it is now.
func (r *run) routeSeen() bool {
	route := r.dataPlane().Route
	if route == nil {
		return true
	}
	for _, parent := range route.Status.Parents {
		for _, condition := range parent.Conditions {
			if condition.Type == string(gwapiv1.RouteConditionAccepted) && condition.ObservedGeneration == route.Generation {
				return true
			}
		}
	}
	return false
}

// releaseFinalizer takes the finalizer away when nothing is left in other namespaces. What a cache has not seen yet is left
// there too, so that the last look is past it.
func (r *run) releaseFinalizer(ctx context.Context) {
	if !controllerutil.ContainsFinalizer(r.exs, v1alpha1.Finalizer) {
		return
	}
	if r.expansion.Blocked || !r.shipping.Went() || len(r.inventory.Elsewhere()) > 0 || refs.HoldsWorkload(r.exs) {
		return
	}
	for _, object := range r.expansion.Objects {
		if object.GetNamespace() != r.exs.Namespace {
			return
		}
	}
	if err := r.inventory.ReadElsewhere(ctx, r.Namespaces); err != nil {
		r.exposing.Fail(err)
		return
	}
	if len(r.inventory.Elsewhere()) == 0 {
		r.exposing.Fail(kube.ReleaseFinalizer(ctx, r.Client, r.exs))
	}
}
