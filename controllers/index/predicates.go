package index

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
)

// DecisionMatters lets through changes of the spec, and of the decision in the status, whoever made
// them. What else the status says is StatusMatters' to let through.
func DecisionMatters() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && !equality.Semantic.DeepEqual(before.Status.Traffic, after.Status.Traffic)
	}})
}

// RivalsMatter lets through what may end, or begin, the wait of others for the same calls: changes of the spec, and of
// whether it is accepted and exposed.
func RivalsMatter() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		if !wasOne || !isOne || after.Spec.Gateway == nil {
			return false
		}
		for _, conditionType := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionExposed} {
			was, is := meta.FindStatusCondition(before.Status.Conditions, conditionType), meta.FindStatusCondition(after.Status.Conditions, conditionType)
			if (was == nil) != (is == nil) || is != nil && (was.Status != is.Status || was.Reason != is.Reason ||
				was.Message != is.Message || was.ObservedGeneration != is.ObservedGeneration) {
				return true
			}
		}
		return false
	}})
}

// HostnamesMatter lets through Namespaces that come, go, or get other host names.
func HostnamesMatter() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return e.Object.GetAnnotations()[v1alpha1.AnnotationHostnames] != "" },
		DeleteFunc: func(e event.DeleteEvent) bool { return e.Object.GetAnnotations()[v1alpha1.AnnotationHostnames] != "" },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationHostnames] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationHostnames]
		},
	}
}

// ClientsMatter lets through what replicas report of their xDS clients, to the one who sums it up.
func ClientsMatter() predicate.Predicate {
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

// GatewayMatters leaves out changes of a Gateway that concern only the number of its routes: with
// many ExposedServices on one Gateway each of them would otherwise wake all the others.
func GatewayMatters() predicate.Predicate {
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
		return !equality.Semantic.DeepEqual(withoutRouteCounts(before), withoutRouteCounts(after))
	}}
}

func withoutRouteCounts(gateway *gwapiv1.Gateway) *gwapiv1.Gateway {
	out := gateway.DeepCopy()
	out.ResourceVersion = ""
	for i := range out.Status.Listeners {
		out.Status.Listeners[i].AttachedRoutes = 0
	}
	return out
}

// PeopleSpoke lets through changes of the annotations by which people speak to a rollout.
func PeopleSpoke() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		for _, name := range refs.Spoken() {
			if before[name] != after[name] {
				return true
			}
		}
		return false
	}}
}
