package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// prune removes the objects of ours that the expansion neither has nor keeps. It comes after
// applying, so that nothing refers to them any more; what the route referred to stays until the
// data plane's controller has seen the new route, because it may hear of the removal first and
// answer calls with errors for that moment.
func (r *exposureReconciler) prune(ctx context.Context, s *scope) {
	if len(s.failures) > 0 || len(s.errs) > 0 || s.conflicted {
		return
	}
	for _, k := range madeKinds() {
		for ref, object := range s.live {
			if ref.Kind != k.gvk.Kind || ref.Group != k.gvk.Group || object.GetDeletionTimestamp() != nil ||
				!s.mayRemove(ref, object) || s.wants(ref) {
				continue
			}
			if isBehindRoute(k) && !s.routeSeen() {
				// Its status will change when it is seen, which leads here again.
				continue
			}
			if err := r.remove(ctx, s, k, object); err != nil {
				s.fail(err)
			}
		}
	}
}

// mayRemove: Headgate has made the object itself. People copy objects with their labels and owner, and give objects of
// their own an owner so that they go with it; those have other names, or were never applied.
func (s *scope) mayRemove(ref gateway.Ref, object client.Object) bool {
	return ownershipOf(object, s.exs) == ours && gateway.IsOurName(s.exs, ref) && object.GetAnnotations()[v1alpha1.AnnotationIntent] != ""
}

// isBehindRoute: the route refers to objects of the kind.
func isBehindRoute(k kind) bool {
	return k.gvk == kindService.gvk || k.gvk == kindEndpointSlice.gvk || k.gvk == kindBackend.gvk
}

// routeSeen says whether somebody has judged the route as it is now.
func (s *scope) routeSeen() bool {
	route := s.dataPlane().Route
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

// remove deletes an object, if it is still the one that was read.
func (r *exposureReconciler) remove(ctx context.Context, s *scope, k kind, object client.Object) error {
	name := object.GetNamespace() + "/" + object.GetName()
	err := r.client.Delete(ctx, object, client.Preconditions{
		UID: ptr.To(object.GetUID()), ResourceVersion: ptr.To(object.GetResourceVersion()),
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		r.metrics.countRemoval(k.gvk.Kind, resultFailed)
		return fmt.Errorf("remove %s %s: %w", k.gvk.Kind, name, err)
	}
	delete(s.live, k.ref(object))
	r.metrics.countRemoval(k.gvk.Kind, resultRemoved)
	s.log.Info("removed what is no longer wanted", "kind", k.gvk.Kind, "made", name)
	r.events.write(s.exs, occurrence{
		kind: corev1.EventTypeNormal, reason: eventRemoved, action: actionRemove, related: object,
		note: fmt.Sprintf("%s %s is no longer needed", k.gvk.Kind, name),
	})
	return nil
}

// resultRemoved is the result of a removal, as metrics call it.
const resultRemoved = "removed"

// elsewhere are the live objects of ours in other namespaces, which no owner reference reaches.
func (s *scope) elsewhere() []gateway.Ref {
	var out []gateway.Ref
	for ref, object := range s.live {
		if ref.Namespace != s.exs.Namespace && ownershipOf(object, s.exs) == ours {
			out = append(out, ref)
		}
	}
	return out
}
