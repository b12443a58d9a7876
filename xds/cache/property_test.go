package cache

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// TestClientsConverge drives the cache and clients of all kinds at random, over wires on which requests and responses are late and cross.
// Whatever happens, a client that answers converges to exactly what it asked for last and may see, gets nothing again that has not
// changed, has at most one response of a type to answer, and never has a route without its cluster.
func TestClientsConverge(t *testing.T) {
	// A hundred thousand steps and more, unless the command line says how many.
	for name, value := range map[string]string{"rapid.checks": "1500", "rapid.steps": "80"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			if err := f.Value.Set(value); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Value.Set(f.DefValue) }()
		}
	}
	steps := 0
	defer func() { t.Logf("%d steps", steps) }()
	rapid.Check(t, func(t *rapid.T) {
		clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
		// With endless patience it shows what the order is; with the usual one, that no client stops anything.
		patience := rapid.SampledFrom([]time.Duration{time.Hour, 0}).Draw(t, "patience")
		c := New(Config{Clock: clk, Newcomer: -1, Patience: patience})
		owners := []Owner{{Namespace: "bank", Name: "greeter"}, {Namespace: "shop", Name: "cart"}, {Namespace: "shop", Name: "greeter"}}
		w := world{cache: c, clusters: map[Owner]string{}}
		scopes := []Scope{
			{Namespace: "shop", Everything: Selector{Namespace: "shop"}},
			{Namespace: "shop", Everything: Selector{"shop", "cart"}},
			{AllNamespaces: true, Everything: Selector{Namespace: "bank"}},
		}
		var clients []*model
		for _, protocol := range []Protocol{StateOfTheWorld, Incremental} {
			for _, envoy := range []bool{true, false} {
				m := newModel(t, c, clk, protocol, envoy, rapid.SampledFrom(scopes).Draw(t, "scope"))
				m.hurried = patience == 0
				clients = append(clients, m)
			}
		}
		names := []string{"8080", "greeter", "cart", "greeter-0", "greeter-1", "cart-0", "cart-1"}
		anyClient := func(t *rapid.T) *model { return rapid.SampledFrom(clients).Draw(t, "client") }
		anyType := func(t *rapid.T) Type { return Type(rapid.IntRange(0, int(typeCount)-1).Draw(t, "type")) }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				o := rapid.SampledFrom(owners).Draw(t, "owner")
				resources := aService(o.Name, rapid.IntRange(0, 1).Draw(t, "cluster"), rapid.IntRange(0, 1).Draw(t, "priority"))
				if rapid.Bool().Draw(t, "two clusters") {
					name := fmt.Sprintf("%s-%s-more", o.Namespace, o.Name)
					resources = append(resources, aCluster(name, rapid.IntRange(1, 2).Draw(t, "timeout")), endpointsFor(name, 0))
				}
				w.set(t, o, resources)
			},
			"remove": func(t *rapid.T) { w.set(t, rapid.SampledFrom(owners).Draw(t, "owner"), nil) },
			"sync":   func(*rapid.T) { c.Synced() },
			"take":   func(t *rapid.T) { anyClient(t).take() },
			"send":   func(t *rapid.T) { anyClient(t).send() },
			"receive": func(t *rapid.T) {
				anyClient(t).receive("")
			},
			"refuse": func(t *rapid.T) {
				anyClient(t).receive(rapid.SampledFrom(names).Draw(t, "name"))
			},
			"answer":    func(t *rapid.T) { anyClient(t).answer(anyType(t)) },
			"repeat":    func(t *rapid.T) { anyClient(t).repeat(anyType(t)) },
			"flush":     func(t *rapid.T) { anyClient(t).flush() },
			"wait":      func(t *rapid.T) { clk.SetTime(clk.Now().Add(aMoment(t))) },
			"reconnect": func(t *rapid.T) { anyClient(t).connect() },
			"rename": func(t *rapid.T) {
				m := anyClient(t)
				if m.envoy {
					t.Skip("an Envoy's names follow from what it has")
				}
				wanted := map[string]bool{}
				for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "names") {
					wanted[name] = true
				}
				m.rename(anyType(t), wanted)
			},
			"resubscribe": func(t *rapid.T) {
				m := anyClient(t)
				if m.envoy {
					t.Skip("an Envoy's names follow from what it has")
				}
				m.resubscribe(anyType(t), rapid.SampledFrom(names).Draw(t, "name"))
			},
			"settle": func(t *rapid.T) {
				c.Synced()
				anyClient(t).settled()
			},
			"": func(t *rapid.T) { steps++; counted(t, c) },
		})
		c.Synced()
		for _, m := range clients {
			m.settled()
			m.cl.Close()
		}
		if len(c.clients) > 0 || slices.ContainsFunc(c.wildcards[:], func(w wildcards) bool { return len(w) > 0 }) {
			t.Fatal("clients have gone and are still known")
		}
		for _, o := range owners {
			w.set(t, o, nil)
		}
		for typ, topics := range c.topics {
			if len(topics) > 0 {
				t.Fatalf("%d topics of %s are left behind", len(topics), Type(typ))
			}
		}
		if len(c.owners)+len(c.namespaces) > 0 {
			t.Fatalf("left behind: %d owners, %d namespaces", len(c.owners), len(c.namespaces))
		}
	})
}

// world sets owners, and with each what the owners of a namespace share: a listener, and a route to
// the cluster of one of them.
type world struct {
	cache    *Cache
	clusters map[Owner]string
}

func (w world) set(t *rapid.T, o Owner, resources []Resource) {
	delete(w.clusters, o)
	if len(resources) > 0 {
		_, w.clusters[o], _ = identify(resources[0].Message)
	}
	var sharers []Owner
	for _, name := range slices.Sorted(maps.Keys(names(w.clusters))) {
		if sharer := (Owner{Namespace: o.Namespace, Name: name}); w.clusters[sharer] != "" {
			sharers = append(sharers, sharer)
		}
	}
	var shared []Resource
	if len(sharers) > 0 {
		shared = []Resource{aListener("8080"), aRoute("8080", w.clusters[sharers[0]])}
		shared[0].Owners, shared[1].Owners = sharers, sharers
	}
	_, err := w.cache.Update(map[Owner][]Resource{o: resources, {Namespace: o.Namespace, Name: "8080"}: shared})
	if err != nil {
		t.Fatal(err)
	}
}

func names(owners map[Owner]string) map[string]bool {
	names := map[string]bool{}
	for o := range owners {
		names[o.Name] = true
	}
	return names
}

// TestConcurrentUse lets the race detector look while everything happens at once.
func TestConcurrentUse(t *testing.T) {
	c := New(Config{})
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			cl := c.Connect(Protocol(i%2), "n", ofShop, nil)
			defer cl.Close()
			_ = cl.Adjust(Clusters, nil, nil, nil)
			_ = cl.Adjust(Endpoints, []string{"greeter-1"}, nil, nil)
			for received := 0; received < 100; {
				received += len(takeAccepted(cl))
				if received < 100 {
					<-cl.Ready()
				}
			}
		}()
	}
	c.Synced()
	observer := c.Observe()
	defer observer.Close()
	for i, running := 0, 4; running > 0; i++ {
		select {
		case <-done:
			running--
		case <-observer.Ready():
			observer.Take()
		default:
			mustSet(t, c, greeter("shop"), aService("greeter", 1, i%100)...)
		}
	}
}
