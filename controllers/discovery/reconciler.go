package discovery

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
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
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

// Reconciler keeps track of which optional kinds the cluster has. When one appears, the
// exposure controller starts to watch it, and every ExposedService is looked at again. It writes
// nothing, so that it runs on every replica.
type Reconciler struct {
	Cache  cache.Cache
	Mapper meta.RESTMapper
	Kinds  *kube.ServedKinds
	Clock  clock.PassiveClock
	// Watch starts watching a kind; it is called once for each, whatever comes and goes.
	Watch   func(context.Context, kube.Kind) error
	Watched map[schema.GroupVersionKind]bool
	// Changed wakes all ExposedServices, in each controller that reads them.
	Changed []chan<- event.GenericEvent
	Metrics *metrics.Metrics
}

// NewDefinition is a CustomResourceDefinition without its schema, which is large and not needed.
func NewDefinition() *metav1.PartialObjectMetadata {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	return definition
}

// DefinesOptionalKind says whether a definition matters: only some of the cluster's do.
func DefinesOptionalKind(object client.Object) bool {
	return slices.ContainsFunc(kube.AllKinds, func(k kube.Kind) bool { return k.CRD == object.GetName() })
}

// Reconcile looks at the kinds that one CustomResourceDefinition defines.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	definition := NewDefinition()
	err := r.Cache.Get(ctx, req.NamespacedName, definition)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read CustomResourceDefinition %s: %w", req.Name, err)
	}
	exists := err == nil && definition.DeletionTimestamp == nil
	anyServed := false
	for _, k := range kube.AllKinds {
		if k.CRD != req.Name || r.Kinds.IsOff(k) {
			continue
		}
		served := false
		// One version of a kind is enough: the first in the list.
		if exists && !anyServed {
			if served, err = IsServed(r.Mapper, k); err != nil {
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
	case r.Clock.Since(definition.CreationTimestamp.Time) < newDefinitionAge:
		return ctrl.Result{RequeueAfter: newRetry}, nil
	}
	return ctrl.Result{RequeueAfter: oldRetry}, nil
}

// note records whether a kind is served, once it can be read.
func (r *Reconciler) note(ctx context.Context, k kube.Kind, served bool) error {
	if served && !r.Watched[k.GVK] {
		if err := r.Watch(ctx, k); err != nil {
			return fmt.Errorf("watch %s: %w", k.GVK, err)
		}
		r.Watched[k.GVK] = true
	}
	if served {
		// Waits until its objects are in the cache.
		if _, err := r.Cache.GetInformer(ctx, k.NewObject()); err != nil {
			return fmt.Errorf("read %s: %w", k.GVK, err)
		}
	}
	r.Metrics.SetServed(k.GVK, served)
	if !r.Kinds.Set(k, served) {
		return nil
	}
	logf.FromContext(ctx).Info("a kind has come or gone", "kind", k.GVK.String(), "served", served)
	for _, changed := range r.Changed {
		select {
		case changed <- event.GenericEvent{Object: &v1alpha1.ExposedService{}}:
		default:
			// One wake-up is waiting already, and comes after this.
		}
	}
	return nil
}

// IsServed asks whether the API server has a kind in the version that is needed.
func IsServed(mapper meta.RESTMapper, k kube.Kind) (bool, error) {
	_, err := mapper.RESTMapping(k.GVK.GroupKind(), k.GVK.Version)
	if err == nil {
		return true, nil
	}
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return false, fmt.Errorf("ask for %s: %w", k.GVK, err)
}
