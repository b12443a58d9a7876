package xdsfeed

import (
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ServedMatters lets through changes of the spec, of the decision and of who has which hosts, which the xDS feed follows.
func ServedMatters() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, wasOne := e.ObjectOld.(*v1alpha1.ExposedService)
		after, isOne := e.ObjectNew.(*v1alpha1.ExposedService)
		return wasOne && isOne && (DecisionMoved(before, after) || !sameHosts(before.Status.XDS, after.Status.XDS))
	}})
}
