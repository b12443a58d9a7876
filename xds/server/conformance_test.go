package server

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/headgate/headgate/xds/cache"
)

// The scenarios of the xDS test harness (ii.coop/xds-test-harness), which asks any server the same, and those of go-control-plane's own
// tests that say something of a server, over streams of mutual TLS. A client acknowledges what it gets, and says what that leaves it with.

// subscriber is a client of one type, in either variant.
type subscriber interface {
	// subscribe and unsubscribe change what it asks for.
	subscribe(names ...string)
	unsubscribe(names ...string)
	// next is the next response: the resources in it, and the names that it says are gone.
	next() (resources, removed []string)
}

// conformer has subscribers at a server, and resources that are set one by one.
type conformer struct {
	*running

	resources map[string]cache.Resource
}

func conforms(t *testing.T) *conformer {
	t.Helper()
	return &conformer{running: start(t, nil), resources: map[string]cache.Resource{}}
}

// put makes resources, or changes them: the number of a version is part of what they say.
func (c *conformer) put(t cache.Type, version int, names ...string) {
	c.t.Helper()
	for _, name := range names {
		switch t {
		case cache.Clusters:
			c.resources["c "+name] = clusterOf(c.t, name, time.Duration(version)*time.Second)
			c.resources["e "+name] = assignmentOf(name)
		case cache.Endpoints:
			c.resources["e "+name] = assignmentOf(name, make([]tier, version)...)
		case cache.Listeners:
			c.resources["l "+name] = clientListenerOf(c.t, name, strings.Repeat("r", version))
			l := c.resources["l "+name]
			l.Wildcard = true
			c.resources["l "+name] = l
		default:
			c.resources["r "+name] = routeOf(name, strings.Repeat("h", version))
		}
	}
	c.set(slices.Collect(maps.Values(c.resources))...)
}

func (c *conformer) take(t cache.Type, names ...string) {
	c.t.Helper()
	prefix := map[cache.Type]string{cache.Clusters: "c ", cache.Endpoints: "e ", cache.Listeners: "l ", cache.Routes: "r "}[t]
	for _, name := range names {
		delete(c.resources, prefix+name)
		if t == cache.Clusters {
			delete(c.resources, "e "+name)
		}
	}
	c.set(slices.Collect(maps.Values(c.resources))...)
}

// expect compares the next response.
func (c *conformer) expect(what string, s subscriber, resources string, removed ...string) {
	c.t.Helper()
	got, gone := s.next()
	slices.Sort(gone)
	if said := strings.Join(got, " "); said != resources || !slices.Equal(gone, removed) {
		c.t.Errorf("%s: got %q, removed %q; want %q, removed %q", what, said, gone, resources, removed)
	}
}

// inSotW is a subscriber in state-of-the-world xDS.
type inSotW struct {
	t      *testing.T
	typ    cache.Type
	stream sotwStream
	names  []string
	nonce  string
}

func (c *conformer) sotw(t *testing.T, typ cache.Type, stream sotwStream) *inSotW {
	t.Helper()
	if stream == nil {
		stream = openSotW(t, c.dial(c.authority.Workload("shop")))
	}
	return &inSotW{t: t, typ: typ, stream: stream}
}

func (s *inSotW) say() {
	s.t.Helper()
	if err := s.stream.Send(&discovery.DiscoveryRequest{
		Node: shopNode, TypeUrl: s.typ.URL(), ResourceNames: s.names, ResponseNonce: s.nonce,
	}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *inSotW) subscribe(names ...string) {
	s.t.Helper()
	s.names = append(s.names, names...)
	s.say()
}

func (s *inSotW) unsubscribe(names ...string) {
	s.t.Helper()
	s.names = slices.DeleteFunc(s.names, func(name string) bool { return slices.Contains(names, name) })
	s.say()
}

func (s *inSotW) next() (resources, removed []string) {
	s.t.Helper()
	response, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	if response.GetTypeUrl() != s.typ.URL() {
		s.t.Fatalf("a response of %s, want %s", response.GetTypeUrl(), s.typ)
	}
	s.nonce = response.GetNonce()
	for _, r := range response.GetResources() {
		message, err := r.UnmarshalNew()
		if err != nil {
			s.t.Fatal(err)
		}
		resources = append(resources, nameIn(message))
	}
	slices.Sort(resources)
	s.say()
	return resources, nil
}

// inDelta is a subscriber in incremental xDS.
type inDelta struct {
	t      *testing.T
	typ    cache.Type
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

func (c *conformer) delta(t *testing.T, typ cache.Type, stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient) *inDelta {
	t.Helper()
	if stream == nil {
		stream = openDelta(t, c.dial(c.authority.Workload("shop")))
	}
	return &inDelta{t: t, typ: typ, stream: stream}
}

func (d *inDelta) say(request *discovery.DeltaDiscoveryRequest) {
	d.t.Helper()
	request.Node, request.TypeUrl = shopNode, d.typ.URL()
	if err := d.stream.Send(request); err != nil {
		d.t.Fatal(err)
	}
}

func (d *inDelta) subscribe(names ...string) {
	d.t.Helper()
	d.say(&discovery.DeltaDiscoveryRequest{ResourceNamesSubscribe: names})
}

func (d *inDelta) unsubscribe(names ...string) {
	d.t.Helper()
	d.say(&discovery.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: names})
}

func (d *inDelta) next() (resources, removed []string) {
	d.t.Helper()
	response, err := d.stream.Recv()
	if err != nil {
		d.t.Fatal(err)
	}
	if response.GetTypeUrl() != d.typ.URL() {
		d.t.Fatalf("a response of %s, want %s", response.GetTypeUrl(), d.typ)
	}
	for _, r := range response.GetResources() {
		resources = append(resources, r.GetName())
	}
	slices.Sort(resources)
	d.say(&discovery.DeltaDiscoveryRequest{ResponseNonce: response.GetNonce()})
	return resources, response.GetRemovedResources()
}

// nameIn is the name of a resource.
func nameIn(message proto.Message) string {
	if m, ok := message.(interface{ GetClusterName() string }); ok {
		return m.GetClusterName()
	}
	return message.(interface{ GetName() string }).GetName() //nolint:forcetypeassert // all others have one
}

var allTypes = []cache.Type{cache.Clusters, cache.Endpoints, cache.Listeners, cache.Routes}

// eachVariant runs a scenario for each of some types in both variants.
func eachVariant(t *testing.T, types []cache.Type, scenario func(c *conformer, s subscriber, typ cache.Type, whole bool)) {
	t.Helper()
	for _, typ := range types {
		t.Run("state of the world, "+typ.String(), func(t *testing.T) {
			c := conforms(t)
			scenario(c, c.sotw(t, typ, nil), typ, typ.AllRequiredInSotW())
		})
		t.Run("incremental, "+typ.String(), func(t *testing.T) {
			c := conforms(t)
			scenario(c, c.delta(t, typ, nil), typ, false)
		})
	}
}

// orAll is what a response holds after a change: in state of the world, of clusters and listeners, all.
func orAll(whole bool, all, changed string) string {
	if whole {
		return all
	}
	return changed
}

func TestAWildcardGetsEverythingAndWhatChanges(t *testing.T) {
	eachVariant(t, []cache.Type{cache.Clusters, cache.Listeners}, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a", "b", "d")
		s.subscribe()
		c.expect("everything", s, "a b d")
		c.put(typ, 2, "a")
		c.expect("a change", s, orAll(whole, "a b d", "a"))
		c.put(typ, 1, "e")
		c.expect("a new one", s, orAll(whole, "a b d e", "e"))
		c.take(typ, "b")
		if whole {
			c.expect("one less", s, "a d e")
		} else {
			c.expect("one less", s, "", "b")
		}
	})
}

func TestASubsetGetsItsOwnAndWhatChangesOfThem(t *testing.T) {
	eachVariant(t, allTypes, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a", "b", "d")
		s.subscribe("a", "b")
		c.expect("two of three", s, "a b")
		c.put(typ, 2, "d") // not theirs
		c.put(typ, 2, "b")
		c.expect("a change", s, orAll(whole, "a b", "b"))
	})
}

func TestWhatIsNotThereYetComesWhenItIs(t *testing.T) {
	eachVariant(t, allTypes, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a")
		s.subscribe("a", "later")
		if _, incremental := s.(*inDelta); incremental {
			c.expect("at first", s, "a", "later")
		} else {
			c.expect("at first", s, "a")
		}
		c.put(typ, 1, "later")
		c.expect("later", s, orAll(whole, "a later", "later"))
	})
}

func TestWhoUnsubscribesHearsNoMore(t *testing.T) {
	eachVariant(t, allTypes, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a", "b", "d", "e")
		s.subscribe("a", "b", "d")
		c.expect("three", s, "a b d")
		s.unsubscribe("a")
		s.subscribe("e") // what is answered says that the server has taken the request before
		c.expect("another", s, orAll(whole, "b d e", "e"))
		c.put(typ, 2, "a")
		c.put(typ, 2, "b")
		c.expect("a change of one of them", s, orAll(whole, "b d e", "b"))
		s.unsubscribe("b", "d", "e")
		s.subscribe("a")
		c.expect("none but the first", s, "a")
	})
}

func TestOneNameAfterTheOther(t *testing.T) {
	eachVariant(t, allTypes, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a", "b", "d")
		s.subscribe("a")
		c.expect("one", s, "a")
		s.subscribe("b")
		c.expect("a second", s, orAll(whole, "a b", "b"))
		s.subscribe("d")
		c.expect("a third", s, orAll(whole, "a b d", "d"))
	})
}

func TestWhatIsRemovedComesAgain(t *testing.T) {
	eachVariant(t, allTypes, func(c *conformer, s subscriber, typ cache.Type, whole bool) {
		c.put(typ, 1, "a", "b")
		s.subscribe("a", "b")
		c.expect("both", s, "a b")
		c.take(typ, "a")
		_, incremental := s.(*inDelta)
		switch {
		case incremental:
			c.expect("one less", s, "", "a")
		case whole:
			c.expect("one less", s, "b")
		default:
			return // the protocol cannot say it
		}
		c.put(typ, 2, "a")
		c.expect("again", s, orAll(whole, "a b", "a"))
	})
}

func TestSeveralTypesOnAStream(t *testing.T) {
	for name, subscribers := range map[string]func(*conformer, *testing.T) map[cache.Type]subscriber{
		"state of the world": func(c *conformer, t *testing.T) map[cache.Type]subscriber {
			stream, all := openSotW(t, c.dial(c.authority.Workload("shop"))), map[cache.Type]subscriber{}
			for _, typ := range allTypes {
				all[typ] = c.sotw(t, typ, stream)
			}
			return all
		},
		"incremental": func(c *conformer, t *testing.T) map[cache.Type]subscriber {
			stream, all := openDelta(t, c.dial(c.authority.Workload("shop"))), map[cache.Type]subscriber{}
			for _, typ := range allTypes {
				all[typ] = c.delta(t, typ, stream)
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := conforms(t)
			all := subscribers(c, t)
			for _, typ := range allTypes {
				if typ != cache.Endpoints { // they come with their clusters
					c.put(typ, 1, "a", "b")
				}
			}
			for _, typ := range allTypes {
				all[typ].subscribe("a")
				c.expect(typ.String(), all[typ], "a")
			}
			c.put(cache.Routes, 2, "a")
			c.expect("a route", all[cache.Routes], "a")
			c.put(cache.Endpoints, 2, "a")
			c.expect("endpoints", all[cache.Endpoints], "a")
		})
	}
}

// TestAStaleNonceStillSaysWhatIsWanted subscribes to one more name in a request that answers a response which is no longer the latest.
func TestAStaleNonceStillSaysWhatIsWanted(t *testing.T) {
	c := conforms(t)
	c.put(cache.Endpoints, 1, "a", "b")
	s := c.sotw(t, cache.Endpoints, nil)
	s.subscribe("a")
	c.expect("one", s, "a")
	first := s.nonce
	c.put(cache.Endpoints, 2, "a")
	c.expect("a change", s, "a")
	s.nonce = first
	s.subscribe("b")
	c.expect("a name with an old nonce", s, "b")
}

// TestARequestWithoutATypeIsRefused, as go-control-plane does.
func TestARequestWithoutATypeIsRefused(t *testing.T) {
	c := conforms(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(c.dial(c.authority.Workload("shop"))).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discovery.DiscoveryRequest{Node: &core.Node{Id: "a", Cluster: "shop"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "type_url") {
		t.Errorf("ended with %v", err)
	}
}
