package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// listener hears, by watches, what happens in the namespace of a benchmark.
type listener struct {
	moments
	client client.WithWatch
	view   view
}

// listen opens the watches, which end with the context. The first events, of what is there already,
// are waited for by whoever asks for the view.
func listen(ctx context.Context, namespace string, scheme *runtime.Scheme) (*listener, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, err
	}
	watcher, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	l := &listener{client: watcher, view: view{unready: map[string]bool{}, empty: map[string]bool{}}}
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &discoveryv1.EndpointSliceList{}, &v1alpha1.ExposedServiceList{}, &gwapiv1.GRPCRouteList{},
	} {
		events, err := watcher.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", list, err)
		}
		go l.hearAll(ctx, namespace, list, events)
	}
	return l, nil
}

// hearAll takes in the events of a watch, and opens it again when it breaks off.
func (l *listener) hearAll(ctx context.Context, namespace string, list client.ObjectList, events watch.Interface) {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for ctx.Err() == nil {
		if events != nil {
			for event := range events.ResultChan() {
				l.hear(time.Now(), event.Object)
			}
			l.note(moment{at: time.Now(), what: interrupted})
		}
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
		}
		var err error
		if events, err = l.client.Watch(ctx, list, client.InNamespace(namespace)); err != nil {
			events = nil
		}
	}
}

// hear notes what is new in an object.
func (l *listener) hear(now time.Time, object runtime.Object) {
	switch o := object.(type) {
	case *corev1.Pod:
		app, unready := o.Labels["app"], !isReady(o)
		if l.view.setUnready(app, unready) && unready {
			l.note(moment{at: now, what: podUnready, app: app})
		}
	case *discoveryv1.EndpointSlice:
		// Those of Headgate's own Services carry their names, which are no application's.
		app, empty := o.Labels[discoveryv1.LabelServiceName], isEmpty(o)
		if l.view.setEmpty(app, empty) && empty {
			l.note(moment{at: now, what: sliceEmpty, app: app})
		}
	case *v1alpha1.ExposedService:
		if l.view.setService(o) {
			l.note(moment{at: now, what: decided, app: o.Status.Active, number: o.Status.Traffic.Revision, taken: o.Status.Traffic.Time.Time})
		}
	case *gwapiv1.GRPCRoute:
		isNew, lead, isAccepted := l.view.setRoute(o)
		if isNew {
			l.note(moment{at: now, what: written, app: lead, number: o.Generation})
		}
		if isAccepted {
			l.note(moment{at: now, what: accepted, number: o.Generation})
		}
	}
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func isEmpty(slice *discoveryv1.EndpointSlice) bool {
	for _, endpoint := range slice.Endpoints {
		if ptr.Deref(endpoint.Conditions.Ready, true) {
			return false
		}
	}
	return true
}
