package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"
)

var ofShop = Scope{Namespace: "shop", Everything: Selector{Namespace: "shop"}}

// envoy is a client that asks for everything and follows one service, as Envoy would.
func envoy(t *testing.T, c *Cache, protocol Protocol, endpoints ...string) *Client {
	t.Helper()
	cl := c.Connect(protocol, "envoy-1", ofShop, nil)
	t.Cleanup(cl.Close)
	subscribe := func(typ Type, names ...string) {
		if protocol == Incremental {
			_ = cl.Adjust(typ, names, nil, nil)
		} else {
			_, _ = cl.Replace(typ, names)
		}
	}
	subscribe(Clusters)
	subscribe(Listeners)
	subscribe(Endpoints, endpoints...)
	subscribe(Routes, "greeter")
	return cl
}

// synced is a cache that serves. New clients count at once.
func synced(config Config) *Cache {
	if config.Newcomer == 0 {
		config.Newcomer = -1
	}
	if config.Pace == 0 {
		config.Pace = -1
	}
	c := New(config)
	c.Synced()
	return c
}

func eachProtocol(t *testing.T, test func(t *testing.T, protocol Protocol)) {
	t.Helper()
	t.Run("state of the world", func(t *testing.T) { test(t, StateOfTheWorld) })
	t.Run("incremental", func(t *testing.T) { test(t, Incremental) })
}

func expect(t *testing.T, what string, responsees []*Response, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), say(responsees)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestClustersComeFirstAndListenersWaitForThem(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1")
		first := take(cl)
		expect(t, "before the clusters are acknowledged", first, "CDS greeter-1", "EDS greeter-1")
		cl.Ack(Clusters, first[0].Nonce)
		expect(t, "after", take(cl), "LDS greeter", "RDS greeter")
	})
}

func TestListenersDoNotWaitForever(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk, Patience: time.Second})
	mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
	cl := envoy(t, c, Incremental, "greeter-1")
	expect(t, "at first", take(cl), "CDS greeter-1", "EDS greeter-1")
	_, again := cl.Next()
	if want := clk.Now().Add(time.Second); !again.Equal(want) {
		t.Fatalf("it should be looked at again at %v, not %v", want, again)
	}
	clk.SetTime(again)
	expect(t, "later", take(cl), "LDS greeter", "RDS greeter")
}

func TestReplacingAClusterMakesBeforeItBreaks(t *testing.T) {
	tests := map[Protocol][]string{
		StateOfTheWorld: {"CDS greeter-1 greeter-2", "EDS greeter-2", "RDS greeter", "CDS greeter-2"},
		Incremental:     {"CDS greeter-2", "EDS greeter-2", "RDS greeter", "CDS -greeter-1", "EDS -greeter-1"},
	}
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1", "greeter-2")
		takeAccepted(cl)
		mustSet(t, c, greeter("shop"), aService("greeter", 2, 0)...)
		expect(t, "the change", takeAccepted(cl), tests[protocol]...)
	})
}

func TestWhatARefusedRouteStillUsesStays(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1", "greeter-2")
		takeAccepted(cl)
		mustSet(t, c, greeter("shop"), aService("greeter", 2, 0)...)
		for _, response := range append(take(cl), answerClusters(cl)...) {
			if response.Type == Routes {
				cl.Nack(Routes, response.Nonce, "greeter: no")
			} else {
				cl.Ack(response.Type, response.Nonce)
			}
		}
		expect(t, "after the route was refused", takeAccepted(cl))
		mustSet(t, c, greeter("shop"), aService("greeter", 3, 0)...)
		var removed []string
		for _, line := range say(takeAccepted(cl)) {
			if strings.Contains(line, "-greeter-1") || line == "CDS greeter-3" {
				removed = append(removed, line)
			}
		}
		if len(removed) == 0 {
			t.Error("when the next route is accepted, the old cluster must go")
		}
	})
}

// answerClusters acknowledges the clusters in flight and takes what waited for that.
func answerClusters(cl *Client) []*Response {
	cl.Ack(Clusters, nonce(cl.subs[Clusters].inFlight[0].number))
	return take(cl)
}

func TestEndpointsComeAgainAfterTheirClusterChanged(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		mustSet(t, c, greeter("shop"), aCluster("greeter", 1), endpointsFor("greeter", 0))
		cl := envoy(t, c, protocol, "greeter")
		takeAccepted(cl)
		mustSet(t, c, greeter("shop"), aCluster("greeter", 2), endpointsFor("greeter", 0))
		expect(t, "cluster changed", takeAccepted(cl), "CDS greeter", "EDS greeter")
		mustSet(t, c, greeter("shop"), aCluster("greeter", 2), endpointsFor("greeter", 1))
		expect(t, "endpoints changed", takeAccepted(cl), "EDS greeter")
		mustSet(t, c, greeter("shop"), aCluster("greeter", 2), endpointsFor("greeter", 1))
		expect(t, "nothing changed", takeAccepted(cl))
	})
}

func TestNothingIsServedBeforeTheCacheIsSynced(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := New(Config{})
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1")
		expect(t, "before", take(cl))
		c.Synced()
		select {
		case <-cl.Ready():
		default:
			t.Error("the client should be woken")
		}
		if len(take(cl)) == 0 {
			t.Error("after: nothing")
		}
	})
}

func TestAnEmptyWorldIsSaid(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		cl := envoy(t, synced(Config{}), protocol)
		expect(t, "everything of nothing", takeAccepted(cl)[:2], "CDS", "LDS")
	})
}

func TestNamesThatDoNotExist(t *testing.T) {
	c := synced(Config{})
	t.Run("state of the world: a whole response lacks them, a partial one is not sent", func(t *testing.T) {
		cl := c.Connect(StateOfTheWorld, "grpc", ofShop, nil)
		defer cl.Close()
		_, _ = cl.Replace(Listeners, []string{"absent"})
		_, _ = cl.Replace(Endpoints, []string{"absent"})
		expect(t, "absent", takeAccepted(cl), "LDS")
	})
	t.Run("incremental: they are removed", func(t *testing.T) {
		cl := c.Connect(Incremental, "envoy", ofShop, nil)
		defer cl.Close()
		_ = cl.Adjust(Endpoints, []string{"absent"}, nil, nil)
		expect(t, "absent", takeAccepted(cl), "EDS -absent")
		mustSet(t, c, greeter("shop"), endpointsFor("absent", 0))
		expect(t, "there after all", takeAccepted(cl), "EDS absent")
	})
}

func TestSubscribingAgainIsAnswered(t *testing.T) {
	c := synced(Config{})
	mustSet(t, c, greeter("shop"), endpointsFor("a", 0), endpointsFor("b", 0))
	t.Run("state of the world", func(t *testing.T) {
		cl := c.Connect(StateOfTheWorld, "grpc", ofShop, nil)
		defer cl.Close()
		_, _ = cl.Replace(Endpoints, []string{"a"})
		expect(t, "first", takeAccepted(cl), "EDS a")
		_, _ = cl.Replace(Endpoints, []string{"a", "b"})
		expect(t, "one more", takeAccepted(cl), "EDS b")
		_, _ = cl.Replace(Endpoints, []string{"b"})
		expect(t, "one less", takeAccepted(cl))
		_, _ = cl.Replace(Endpoints, []string{"a", "b"})
		expect(t, "again", takeAccepted(cl), "EDS a")
		_, _ = cl.Replace(Endpoints, nil)
		_, _ = cl.Replace(Endpoints, nil)
		expect(t, "none", takeAccepted(cl))
	})
	t.Run("incremental", func(t *testing.T) {
		cl := c.Connect(Incremental, "envoy", ofShop, nil)
		defer cl.Close()
		_ = cl.Adjust(Endpoints, []string{"a"}, nil, nil)
		expect(t, "first", takeAccepted(cl), "EDS a")
		_ = cl.Adjust(Endpoints, []string{"a"}, nil, nil)
		expect(t, "without unsubscribing", takeAccepted(cl), "EDS a")
		_ = cl.Adjust(Endpoints, nil, []string{"a"}, nil)
		_ = cl.Adjust(Endpoints, []string{"a"}, nil, nil)
		expect(t, "after unsubscribing", takeAccepted(cl), "EDS a")
	})
}

func TestIncrementalResumesWhereItWas(t *testing.T) {
	c := synced(Config{})
	mustSet(t, c, greeter("shop"), aCluster("a", 1), endpointsFor("a", 0), aCluster("b", 1), endpointsFor("b", 0))
	before := envoy(t, c, Incremental, "a", "b")
	known := map[Type]map[string]string{Clusters: {}, Endpoints: {}}
	for _, response := range takeAccepted(before) {
		for _, e := range response.Entries {
			known[response.Type][e.Name()] = e.Version()
		}
	}
	before.Close()
	mustSet(t, c, greeter("shop"), aCluster("a", 1), endpointsFor("a", 0), aCluster("c", 1), endpointsFor("c", 0))

	cl := c.Connect(Incremental, "envoy-1", ofShop, nil)
	t.Cleanup(cl.Close)
	_ = cl.Adjust(Clusters, nil, nil, known[Clusters])
	_ = cl.Adjust(Endpoints, []string{"a", "b"}, nil, known[Endpoints])
	expect(t, "what changed meanwhile", takeAccepted(cl), "CDS c", "CDS -b", "EDS -b")
	if status := c.Status(greeter("shop")); !status.AllAcked() || status.Clients != 1 {
		t.Errorf("what the client brought counts as acknowledged: %+v", status)
	}
}

func TestAWildcardCanEndAndNamesStay(t *testing.T) {
	c := synced(Config{})
	mustSet(t, c, greeter("shop"), aCluster("a", 1), endpointsFor("a", 0), aCluster("b", 1), endpointsFor("b", 0))
	cl := c.Connect(Incremental, "envoy", ofShop, nil)
	t.Cleanup(cl.Close)
	_ = cl.Adjust(Clusters, []string{"*", "a"}, nil, nil)
	expect(t, "everything", takeAccepted(cl), "CDS a b")
	_ = cl.Adjust(Clusters, nil, []string{"a"}, nil)
	expect(t, "a name less that is selected anyway is said again", takeAccepted(cl), "CDS a")
	_ = cl.Adjust(Clusters, []string{"b"}, []string{"*"}, nil)
	takeAccepted(cl)
	mustSet(t, c, greeter("shop"), aCluster("a", 2), endpointsFor("a", 0), aCluster("b", 2), endpointsFor("b", 0))
	expect(t, "only the name", takeAccepted(cl), "CDS b")
}

func TestAClientSeesItsScope(t *testing.T) {
	c := synced(Config{})
	for _, namespace := range []string{"bank", "shop"} {
		mustSet(t, c, greeter(namespace), append(aService("greeter", 1, 0), aCluster(namespace, 1), endpointsFor(namespace, 0))...)
	}
	mustSet(t, c, Owner{Namespace: "shop", Name: "cart"}, aCluster("cart", 1), endpointsFor("cart", 0),
		Resource{Message: aCluster("proxyless", 1).Message}, endpointsFor("proxyless", 0))
	tests := map[string]struct {
		scope Scope
		want  string
	}{
		"a namespace":            {Scope{Namespace: "shop", Everything: Selector{Namespace: "shop"}}, "CDS cart greeter-1 shop"},
		"one owner":              {Scope{Namespace: "shop", Everything: Selector{"shop", "cart"}}, "CDS cart"},
		"another's namespace":    {Scope{Namespace: "shop", Everything: Selector{Namespace: "bank"}}, "CDS"},
		"all, and picks one":     {Scope{AllNamespaces: true, Everything: Selector{Namespace: "bank"}}, "CDS bank greeter-1"},
		"all, and picks nothing": {Scope{AllNamespaces: true}, "CDS"},
	}
	for name, test := range tests {
		t.Run("everything: "+name, func(t *testing.T) {
			cl := c.Connect(StateOfTheWorld, "n", test.scope, nil)
			defer cl.Close()
			_, _ = cl.Replace(Clusters, nil)
			expect(t, "everything", takeAccepted(cl), test.want)
		})
	}
	t.Run("by name: another's do not exist, one's own of the same name does", func(t *testing.T) {
		cl := c.Connect(Incremental, "n", Scope{Namespace: "shop"}, nil)
		defer cl.Close()
		_ = cl.Adjust(Clusters, []string{"bank", "greeter-1", "proxyless"}, nil, nil)
		responsees := takeAccepted(cl)
		expect(t, "named", responsees, "CDS greeter-1 proxyless -bank")
		if got := responsees[0].Entries[0].names[0]; got != greeter("shop") {
			t.Errorf("greeter-1 is that of %s", got)
		}
	})
}

func TestResponsesAreBounded(t *testing.T) {
	c := synced(Config{})
	var resources []Resource
	var names []string
	for i := range 4 {
		name := strings.Repeat(string(rune('a'+i)), maxResponseBytes/2)
		names = append(names, name)
		resources = append(resources, endpointsFor(name, 0))
	}
	mustSet(t, c, greeter("shop"), resources...)
	cl := c.Connect(StateOfTheWorld, "n", ofShop, nil)
	defer cl.Close()
	_, _ = cl.Replace(Endpoints, names)
	var sizes []int
	for _, response := range takeAccepted(cl) {
		sizes = append(sizes, len(response.Entries))
	}
	if diff := cmp.Diff([]int{2, 2}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestSetRefusesWhatNobodyCouldUse(t *testing.T) {
	tests := map[string][]Resource{
		"a cluster without its endpoints": {aCluster("a", 1)},
		"two of one name":                 {aListener("a"), aListener("a")},
		"no name":                         {aListener("")},
		"the wildcard as a name":          {aListener("*")},
		"another type":                    {{Message: aCluster("a", 1).Message}, {Message: endpointsFor("a", 0).Message}, {}},
		"against the validation rules":    {endpointsFor("a", 1000)},
	}
	for name, resources := range tests {
		t.Run(name, func(t *testing.T) {
			c := synced(Config{})
			before := mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
			if _, err := c.Set(greeter("shop"), resources); err == nil {
				t.Fatal("it should be refused")
			}
			if got := c.Status(greeter("shop")).Version; got != before {
				t.Errorf("version %q, want what was there: %q", got, before)
			}
		})
	}
}

func TestVersionsAreThoseOfTheContent(t *testing.T) {
	one, other := synced(Config{}), synced(Config{})
	a := mustSet(t, one, greeter("shop"), aService("greeter", 1, 0)...)
	mustSet(t, other, greeter("shop"), aService("greeter", 2, 1)...)
	b := mustSet(t, other, greeter("shop"), aService("greeter", 1, 0)...)
	if a != b {
		t.Errorf("two replicas call the same content %q and %q", a, b)
	}
	versions := func(c *Cache) []string {
		var all []string
		for _, response := range takeAccepted(envoy(t, c, StateOfTheWorld, "greeter-1")) {
			all = append(all, response.Version)
		}
		return all
	}
	if diff := cmp.Diff(versions(one), versions(other)); diff != "" {
		t.Errorf("responses of two replicas (-one +other):\n%s", diff)
	}
}

func TestOwnersShareAListener(t *testing.T) {
	c := synced(Config{})
	cart := Owner{Namespace: "shop", Name: "cart"}
	port := Owner{Namespace: "shop", Name: "8080"}
	shared := []Resource{aListener("8080"), aRoute("8080", "greeter-1")}
	shared[0].Owners, shared[1].Owners = []Owner{cart, greeter("shop")}, []Owner{cart, greeter("shop")}
	_, err := c.Update(map[Owner][]Resource{
		greeter("shop"): {aCluster("greeter-1", 1), endpointsFor("greeter-1", 0)},
		cart:            {aCluster("cart", 1), endpointsFor("cart", 0)},
		port:            shared,
	})
	if err != nil {
		t.Fatal(err)
	}
	cl := c.Connect(Incremental, "n", Scope{Namespace: "shop", Everything: Selector(cart)}, nil)
	defer cl.Close()
	_ = cl.Adjust(Clusters, nil, nil, nil)
	_ = cl.Adjust(Listeners, nil, nil, nil)
	_ = cl.Adjust(Routes, []string{"8080"}, nil, nil)
	expect(t, "who asks for one owner gets what it shares", takeAccepted(cl), "CDS cart", "LDS 8080", "RDS 8080")
	status(t, c, greeter("shop"), 1, 1, 0)
	status(t, c, port, 0, 0, 0)

	shared[1] = Resource{Message: aRoute("8080", "cart").Message, Owners: shared[1].Owners}
	mustSet(t, c, port, shared...)
	status(t, c, cart, 0, 1, 0)
	response := take(cl)[0]
	cl.Nack(Routes, response.Nonce, "no")
	status(t, c, cart, 0, 1, 1)
	status(t, c, greeter("shop"), 0, 1, 1)

	if _, err := c.Set(Owner{Namespace: "bank", Name: "8080"}, shared); err == nil {
		t.Error("a resource cannot be shared across namespaces")
	}
}

func TestWhatWaitsForTheNextVersionIsNotLookedAtAgain(t *testing.T) {
	clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
	c := synced(Config{Clock: clk, Patience: time.Second})
	mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
	cl := envoy(t, c, Incremental, "greeter-1", "greeter-2")
	takeAccepted(cl)
	mustSet(t, c, greeter("shop"), aService("greeter", 2, 0)...)
	take(cl) // the clusters, which are never answered
	clk.SetTime(clk.Now().Add(2 * time.Second))
	for _, response := range take(cl) {
		if response.Type == Routes {
			cl.Nack(Routes, response.Nonce, "greeter: no")
		}
	}
	if response, again := cl.Next(); response != nil || !again.IsZero() {
		t.Errorf("the old cluster waits for the next route: %v, again at %v", response, again)
	}
}

// A client that may read all namespaces gets, of two resources of one name, the one that was there first. None is taken from those who
// read one namespace.
func TestWhoReadsAllGetsTheFirstOfTwo(t *testing.T) {
	c := synced(Config{})
	of := func(namespace string, minute int) {
		resource := aListener("greeter.example.com")
		resource.Since = time.Unix(1e9, 0).Add(time.Duration(minute) * time.Minute)
		mustSet(t, c, greeter(namespace), resource)
	}
	of("shop", 1)
	holder := func(scope Scope) string {
		cl := c.Connect(Incremental, "n", scope, nil)
		defer cl.Close()
		_ = cl.Adjust(Listeners, []string{"greeter.example.com"}, nil, nil)
		return takeAccepted(cl)[0].Entries[0].holder.name.Namespace
	}
	everyone := Scope{AllNamespaces: true}
	reader := c.Connect(Incremental, "n", everyone, nil)
	defer reader.Close()
	_ = reader.Adjust(Listeners, []string{"greeter.example.com"}, nil, nil)
	takeAccepted(reader)
	of("evil", 5)
	expect(t, "a second of the name", takeAccepted(reader))
	if got := holder(everyone); got != "shop" {
		t.Errorf("who reads all gets that of %s", got)
	}
	of("bank", 0)
	for scope, want := range map[Scope]string{everyone: "bank", {Namespace: "shop"}: "shop", {Namespace: "evil"}: "evil"} {
		if got := holder(scope); got != want {
			t.Errorf("%+v gets that of %s, want %s", scope, got, want)
		}
	}
}

// A cluster changes and changes back before its endpoints are sent: to the client it has changed twice, and waits for endpoints.
func TestEndpointsComeAgainAfterAClusterThatIsBackAsItWas(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		c := synced(Config{})
		set := func(timeout int) {
			mustSet(t, c, greeter("shop"), aCluster("greeter", timeout), endpointsFor("greeter", 0))
		}
		set(1)
		cl := envoy(t, c, protocol, "greeter")
		takeAccepted(cl)
		set(2)
		sent, _ := cl.Next()
		expect(t, "the change", []*Response{sent}, "CDS greeter")
		set(1)
		cl.Ack(Clusters, sent.Nonce)
		expect(t, "back", takeAccepted(cl), "CDS greeter", "EDS greeter")
	})
}

// A service is deleted and made again as it was, before an Envoy in state-of-the-world xDS has said that it wants its endpoints no longer.
// It has forgotten them by itself, and its list of names is the same afterwards.
func TestEndpointsComeAgainWithAClusterThatWasGone(t *testing.T) {
	c := synced(Config{})
	set := func() { mustSet(t, c, greeter("shop"), aCluster("greeter", 1), endpointsFor("greeter", 0)) }
	set()
	cl := envoy(t, c, StateOfTheWorld, "greeter")
	takeAccepted(cl)
	c.Remove(greeter("shop"))
	gone := take(cl)
	expect(t, "deleted", gone, "CDS")
	set()
	cl.Ack(Clusters, gone[0].Nonce)
	_, _ = cl.Replace(Endpoints, []string{"greeter"})
	expect(t, "made again", takeAccepted(cl), "CDS greeter", "EDS greeter")
}

// TestAChangeIsAsOldAsItIs: what is kept back for long makes nothing else look old.
func TestAChangeIsAsOldAsItIs(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		clk := testclock.NewFakePassiveClock(time.Unix(1e9, 0))
		c := synced(Config{Clock: clk, Patience: time.Minute})
		other := Owner{Namespace: "shop", Name: "other"}
		mustSet(t, c, greeter("shop"), aService("greeter", 1, 0)...)
		mustSet(t, c, other, aService("other", 1, 0)...)
		cl := envoy(t, c, protocol, "greeter-1", "greeter-2", "other-1")
		takeAccepted(cl)

		mustSet(t, c, greeter("shop"), aService("greeter", 2, 0)...)
		for _, response := range take(cl) {
			if response.Type != Clusters { // it warms up, and the route is kept back
				cl.Ack(response.Type, response.Nonce)
			}
		}
		clk.SetTime(clk.Now().Add(500 * time.Millisecond))
		mustSet(t, c, other, aService("other", 1, 1)...)
		changed := take(cl)
		expect(t, "the change of the other", changed, "EDS other-1")
		if at := changed[0].ChangedAt; !at.Equal(clk.Now()) {
			t.Errorf("it is of %v, not of %v", at, clk.Now())
		}
	})
}
