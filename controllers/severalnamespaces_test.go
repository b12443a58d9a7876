package controllers

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/apiserver"
)

// TestSeveralNamespacesAreFollowedInFewRuns: with a watch for each namespace no read sees what was written before, and what
// repeats itself until it does must not keep a processor busy.
func TestSeveralNamespacesAreFollowedInFewRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	class := w.gatewayClass()
	// Backends have clusters of their own, and weights move in steps.
	class.Spec.ControllerName = "example.com/other"
	w.create(class)
	w.dataPlane = startDataPlane(w)
	o := w.startOperator(withOldServices, alsoIn(apiserver.Namespace(t, w.kube), apiserver.Namespace(t, w.kube)))
	exs := w.exposedService("greeter")
	w.create(exs)
	w.eventually("the route is there", func() error { _, err := w.routeWeights(exs); return err })
	w.untilQuiet(o)
	before := o.runs.Of(client.ObjectKeyFromObject(exs))
	w.setReady("primary-svc", false)
	w.untilRouteHas(exs, "primary-svc 0", "backup-svc 1000000")
	w.untilQuiet(o)
	const most = 50
	if runs := o.runs.Of(client.ObjectKeyFromObject(exs)) - before; runs > most {
		t.Errorf("a failover took %d runs", runs)
	} else {
		t.Logf("a failover took %d runs", runs)
	}
}
