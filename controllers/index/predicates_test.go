package index

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestWhatWakesAnExposedService(t *testing.T) {
	gw := func(version string, f func(*gwapiv1.Gateway)) *gwapiv1.Gateway {
		out := &gwapiv1.Gateway{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
		out.Status.Listeners = []gwapiv1.ListenerStatus{{Name: "grpc"}}
		f(out)
		return out
	}
	exs := func(f func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
		out := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		f(out)
		return out
	}
	sameGateway, sameService := func(*gwapiv1.Gateway) {}, func(*v1alpha1.ExposedService) {}
	for name, c := range map[string]struct {
		predicate     predicate.Predicate
		before, after client.Object
		want          bool
	}{
		"number of routes": {GatewayMatters(), gw("1", sameGateway), gw("2", func(g *gwapiv1.Gateway) { g.Status.Listeners[0].AttachedRoutes = 3 }), false},
		"condition": {GatewayMatters(), gw("1", sameGateway), gw("2", func(g *gwapiv1.Gateway) {
			meta.SetStatusCondition(&g.Status.Conditions, metav1.Condition{Type: "Programmed", Status: metav1.ConditionTrue, Reason: "Programmed"})
		}), true},
		"listener's condition": {GatewayMatters(), gw("1", sameGateway), gw("2", func(g *gwapiv1.Gateway) {
			meta.SetStatusCondition(&g.Status.Listeners[0].Conditions, metav1.Condition{Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted"})
		}), true},
		"label":         {GatewayMatters(), gw("1", sameGateway), gw("2", func(g *gwapiv1.Gateway) { g.Labels = map[string]string{"a": "b"} }), true},
		"resync":        {GatewayMatters(), gw("1", sameGateway), gw("1", sameGateway), true},
		"spec":          {DecisionMatters(), exs(sameService), exs(func(e *v1alpha1.ExposedService) { e.Generation = 2 }), true},
		"decision":      {DecisionMatters(), exs(sameService), exs(func(e *v1alpha1.ExposedService) { e.Status.Traffic = &v1alpha1.TrafficStatus{Revision: 2} }), true},
		"our own words": {DecisionMatters(), exs(sameService), exs(func(e *v1alpha1.ExposedService) { e.Status.Endpoints = "primary 1/1" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.predicate.Update(event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after}); got != c.want {
				t.Errorf("wakes %v, want %v", got, c.want)
			}
		})
	}
}

func TestWhateverPeopleSayToARolloutWakesIt(t *testing.T) {
	for _, name := range []string{
		v1alpha1.AnnotationApprove, v1alpha1.AnnotationSkip, v1alpha1.AnnotationPromote, v1alpha1.AnnotationAbort, v1alpha1.AnnotationRetry,
		v1alpha1.AnnotationSwapped,
	} {
		before, after := &v1alpha1.ExposedService{}, &v1alpha1.ExposedService{}
		after.Annotations = map[string]string{name: "something"}
		if !PeopleSpoke().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
			t.Errorf("%s does not wake it", name)
		}
	}
}
