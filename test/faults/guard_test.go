package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/controllers/kube"
)

// guard watches what calls depend on, from when it is set up: nothing of it may be taken away.
type guard struct {
	mu     sync.Mutex
	losses []string
	stop   func()
}

// guard sets one up.
func (w *world) guard() *guard {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &guard{}
	var watching sync.WaitGroup
	g.stop = sync.OnceFunc(func() { cancel(); watching.Wait() })
	w.Cleanup(g.stop)
	for _, k := range []kube.Kind{kube.KindRoute, kube.KindGateway, kube.KindService, kube.KindEndpointSlice, kube.KindBackend} {
		events, err := w.kube.Watch(ctx, k.NewList(), client.InNamespace(w.namespace))
		if err != nil {
			w.Fatal(err)
		}
		watching.Go(func() {
			for event := range events.ResultChan() {
				g.see(event)
			}
		})
	}
	return g
}

func (g *guard) see(event watch.Event) {
	object, ok := event.Object.(client.Object)
	if !ok || !isMade(object) {
		return
	}
	name := fmt.Sprintf("%T %s", object, object.GetName())
	switch {
	case event.Type == watch.Deleted:
		g.note(name + " was removed")
	case object.GetDeletionTimestamp() != nil:
		g.note(name + " is being removed")
	}
	if route, isRoute := object.(*gwapiv1.GRPCRoute); isRoute && sumOf(route) == 0 {
		g.note(name + " leads to nobody")
	}
}

func sumOf(route *gwapiv1.GRPCRoute) (sum int32) {
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			sum += ptr.Deref(ref.Weight, 1)
		}
	}
	return sum
}

func (g *guard) note(loss string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses = append(g.losses, loss)
}

// lost is what was taken away so far; empty: nothing.
func (g *guard) lost() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.losses, "\n")
}
