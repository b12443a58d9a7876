package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
)

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch

// A CustomResourceDefinition that is not served yet is looked at again soon while it is new, and
// seldom later, when it may be one of a version that is too old. Its becoming served usually shows
// earlier, as a change of its status.
const (
	newDefinitionAge = time.Minute
	newRetry         = time.Second
	oldRetry         = time.Minute
)

// kindsReconciler keeps track of which optional kinds the cluster has. When one appears, the
// exposure controller starts to watch it, and every ExposedService is looked at again. It writes
// nothing, so that it runs on every replica.
type kindsReconciler struct {
	cache  cache.Cache
	mapper meta.RESTMapper
	kinds  *servedKinds
	clock  clock.PassiveClock
	// watch starts watching a kind; it is called once for each, whatever comes and goes.
	watch   func(context.Context, kind) error
	watched map[schema.GroupVersionKind]bool
	// changed wakes all ExposedServices, in each controller that reads them.
	changed []chan<- event.GenericEvent
	metrics *metrics
}

// newDefinition is a CustomResourceDefinition without its schema, which is large and not needed.
func newDefinition() *metav1.PartialObjectMetadata {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	return definition
}

// definesOptionalKind: only some of the cluster's definitions matter.
func definesOptionalKind(object client.Object) bool {
	return slices.ContainsFunc(allKinds, func(k kind) bool { return k.crd == object.GetName() })
}

// Reconcile looks at the kinds that one CustomResourceDefinition defines.
func (r *kindsReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	definition := newDefinition()
	err := r.cache.Get(ctx, req.NamespacedName, definition)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read CustomResourceDefinition %s: %w", req.Name, err)
	}
	exists := err == nil && definition.DeletionTimestamp == nil
	anyServed := false
	for _, k := range allKinds {
		if k.crd != req.Name || r.kinds.isOff(k) {
			continue
		}
		served := false
		// One version of a kind is enough: the first in the list.
		if exists && !anyServed {
			if served, err = isServed(r.mapper, k); err != nil {
				return ctrl.Result{}, err
			}
		}
		anyServed = anyServed || served
		if err := r.note(ctx, k, served); err != nil {
			return ctrl.Result{}, err
		}
	}
	switch {
	case anyServed || !exists:
		return ctrl.Result{}, nil
	case r.clock.Since(definition.CreationTimestamp.Time) < newDefinitionAge:
		return ctrl.Result{RequeueAfter: newRetry}, nil
	}
	return ctrl.Result{RequeueAfter: oldRetry}, nil
}

// note records whether a kind is served, once it can be read.
func (r *kindsReconciler) note(ctx context.Context, k kind, served bool) error {
	if served && !r.watched[k.gvk] {
		if err := r.watch(ctx, k); err != nil {
			return fmt.Errorf("watch %s: %w", k.gvk, err)
		}
		r.watched[k.gvk] = true
	}
	if served {
		// Waits until its objects are in the cache.
		if _, err := r.cache.GetInformer(ctx, k.newObject()); err != nil {
			return fmt.Errorf("read %s: %w", k.gvk, err)
		}
	}
	r.metrics.setServed(k, served)
	if !r.kinds.set(k, served) {
		return nil
	}
	logf.FromContext(ctx).Info("a kind has come or gone", "kind", k.gvk.String(), "served", served)
	for _, changed := range r.changed {
		select {
		case changed <- event.GenericEvent{Object: &v1alpha1.ExposedService{}}:
		default:
			// One wake-up is waiting already, and comes after this.
		}
	}
	return nil
}

// isServed asks whether the API server has a kind in the version that is needed.
func isServed(mapper meta.RESTMapper, k kind) (bool, error) {
	_, err := mapper.RESTMapping(k.gvk.GroupKind(), k.gvk.Version)
	if err == nil {
		return true, nil
	}
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return false, fmt.Errorf("ask for %s: %w", k.gvk, err)
}
