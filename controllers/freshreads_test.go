package controllers

import (
	"fmt"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestABrokenWatchHoldsNoFailoverUp: Headgate writes a kind of which it is told nothing any more. As after a restart of the API server,
// when the watches come back one after the other.
func TestABrokenWatchHoldsNoFailoverUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)

	o.transport.blind("backends")
	fallback := &egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "greeter-fallback"}}
	if err := w.read(fallback); err != nil {
		t.Fatal(err)
	}
	before := len(fallback.Spec.Endpoints)
	edit(w, w.slice("backup-svc"), func(s *discoveryv1.EndpointSlice) {
		another := *s.Endpoints[0].DeepCopy()
		another.Addresses = []string{"10.1.1.3"}
		s.Endpoints = append(s.Endpoints, another)
	})
	w.eventually("the fallback has the new endpoint", func() error {
		if err := w.read(fallback); err != nil {
			return err
		}
		if n := len(fallback.Spec.Endpoints); n != before+1 {
			return fmt.Errorf("it has %d endpoints, and had %d", n, before)
		}
		return nil
	})

	start := time.Now()
	w.setReady("primary-svc", false)
	w.untilRouteHas(exs, "greeter-backup-gw 1000000")
	t.Logf("the backup serves after %s", time.Since(start).Round(time.Millisecond))

	o.transport.blind("")
	w.untilReady(exs)
}
