package cache

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestClientsConverge drives the cache and clients of all kinds at random. Whatever happens, a client that answers
// converges to exactly what it may see, gets nothing again that has not changed, and never has a route without its
// cluster.
func TestClientsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(Config{Settling: -1})
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
				clients = append(clients, newModel(t, c, protocol, envoy, rapid.SampledFrom(scopes).Draw(t, "scope")))
			}
		}
		names := []string{"8080", "greeter", "cart", "greeter-0", "greeter-1", "cart-0", "cart-1"}
		anyClient := func(t *rapid.T) *model { return rapid.SampledFrom(clients).Draw(t, "client") }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				o := rapid.SampledFrom(owners).Draw(t, "owner")
				resources := aService(o.Name, rapid.IntRange(0, 1).Draw(t, "cluster"), rapid.IntRange(0, 1).Draw(t, "priority"))
				if rapid.Bool().Draw(t, "two clusters") {
					name := fmt.Sprintf("%s-%s-more", o.Namespace, o.Name)
					resources = append(resources, aCluster(name, rapid.IntRange(1, 2).Draw(t, "timeout")), anAssignment(name, 0))
				}
				w.set(t, o, resources)
			},
			"remove": func(t *rapid.T) { w.set(t, rapid.SampledFrom(owners).Draw(t, "owner"), nil) },
			"sync":   func(*rapid.T) { c.Synced() },
			"send":   func(t *rapid.T) { anyClient(t).send() },
			"receive": func(t *rapid.T) {
				anyClient(t).receive("")
			},
			"refuse": func(t *rapid.T) {
				anyClient(t).receive(rapid.SampledFrom(names).Draw(t, "name"))
			},
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
				m.rename(Type(rapid.IntRange(0, int(typeCount)-1).Draw(t, "type")), wanted)
			},
			"settle": func(t *rapid.T) {
				c.Synced()
				anyClient(t).settled()
			},
			"": func(t *rapid.T) { counted(t, c) },
		})
		c.Synced()
		for _, m := range clients {
			m.settled()
			m.cl.Close()
		}
		if len(c.clients) > 0 || slices.ContainsFunc(c.selections[:], func(s selections) bool { return len(s) > 0 }) {
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
			cl := c.Connect(Protocol(i%2), "n", ofShop)
			defer cl.Close()
			cl.Adjust(Clusters, nil, nil, nil)
			cl.Adjust(Assignments, []string{"greeter-1"}, nil, nil)
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
