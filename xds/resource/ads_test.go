package resource_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/headgate/headgate/xds/resource"
)

// ads is an xDS server for the judges: it sends each client the resources that it names, or, to a wildcard, those for
// Envoy, by type in the order of a Result, and remembers what the clients said to them.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	address string

	mu        sync.Mutex
	resources []resource.Resource
	streams   map[*stream]struct{}
	// changed is closed when the resources have, or what is known of the clients.
	changed chan struct{}
	// taken are the resources that a client has acknowledged, by type and name, and refused what they said to
	// those that they did not take.
	taken   map[string]bool
	refused []string
}

// serve starts the server; it ends with the test.
func serve(t *testing.T, resources []resource.Resource) *ads {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &ads{
		address: listener.Addr().String(), resources: resources,
		streams: map[*stream]struct{}{}, changed: make(chan struct{}), taken: map[string]bool{},
	}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, a)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return a
}

// replace replaces the resources in the order in which nothing is ever named that is not there: first what
// is new or other among clusters and assignments, then listeners and routes, then what is gone. Each waits until
// the clients have acknowledged the one before, which Envoy does when its new clusters are warm.
func (a *ads) replace(ctx context.Context, resources []resource.Resource) error {
	isRoute := func(r resource.Resource) bool {
		return strings.HasSuffix(r.TypeURL(), ".Listener") || strings.HasSuffix(r.TypeURL(), ".RouteConfiguration")
	}
	a.mu.Lock()
	before := a.resources
	a.mu.Unlock()
	made := slices.DeleteFunc(slices.Clone(resources), isRoute)
	gone := slices.DeleteFunc(slices.Clone(before), func(r resource.Resource) bool {
		return slices.ContainsFunc(resources, func(other resource.Resource) bool {
			return id(other.TypeURL(), other.Name) == id(r.TypeURL(), r.Name)
		})
	})
	routesBefore := slices.DeleteFunc(slices.Clone(before), func(r resource.Resource) bool { return !isRoute(r) })
	goneClusters := slices.DeleteFunc(slices.Clone(gone), isRoute)
	for _, stage := range [][]resource.Resource{
		slices.Concat(made, goneClusters, routesBefore),
		slices.Concat(resources, gone),
		resources,
	} {
		a.mu.Lock()
		a.resources = stage
		a.stir()
		a.mu.Unlock()
		err := a.await(ctx, func() bool {
			for s := range a.streams {
				if !s.settled(stage) {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *ads) stir() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// await waits until done, and fails as soon as a client refuses anything. Done is called with the lock held.
func (a *ads) await(ctx context.Context, done func() bool) error {
	for {
		a.mu.Lock()
		finished, refused, taken, changed := done(), slices.Clone(a.refused), len(a.taken), a.changed
		a.mu.Unlock()
		switch {
		case len(refused) > 0:
			return fmt.Errorf("refused: %q", refused)
		case finished:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w; %d resources were taken", ctx.Err(), taken)
		}
	}
}

func id(typeURL, name string) string { return typeURL + " " + name }

// stream is one client, with what it has been told of each type.
type stream struct {
	subscriptions map[string]*subscription
}

type subscription struct {
	names []string
	// version is what was sent, nonce its number, and acknowledged the last number that the client took.
	version             string
	nonce, acknowledged int
	sent                []string
}

// settled says whether the client has taken all that it wants of these resources.
func (s *stream) settled(resources []resource.Resource) bool {
	for typeURL, sub := range s.subscriptions {
		_, version, err := sub.selected(typeURL, resources)
		if err != nil || version != sub.version || sub.acknowledged != sub.nonce {
			return false
		}
	}
	return true
}

// selected are the resources of a type that the client wants.
func (s *subscription) selected(typeURL string, resources []resource.Resource) (out *discoveryv3.DiscoveryResponse, version string, err error) {
	out, version = &discoveryv3.DiscoveryResponse{TypeUrl: typeURL}, "v"
	for _, r := range resources {
		wanted := slices.Contains(s.names, r.Name) || len(s.names) == 0 && r.Audience != resource.GRPCClients
		if r.TypeURL() != typeURL || !wanted {
			continue
		}
		value, err := r.Marshal()
		if err != nil {
			return nil, "", err
		}
		out.Resources = append(out.Resources, &anypb.Any{TypeUrl: typeURL, Value: value})
		version += r.Name + string(value)
	}
	return out, version, nil
}

func (a *ads) StreamAggregatedResources(server discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	requests := make(chan *discoveryv3.DiscoveryRequest)
	go func() {
		defer close(requests)
		for {
			request, err := server.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- request:
			case <-server.Context().Done():
				return
			}
		}
	}()
	client := &stream{subscriptions: map[string]*subscription{}}
	a.mu.Lock()
	a.streams[client] = struct{}{}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.streams, client)
		a.stir()
	}()
	for {
		a.mu.Lock()
		changed := a.changed
		responses, err := a.answers(client)
		a.mu.Unlock()
		if err != nil {
			return err
		}
		for _, response := range responses {
			if err := server.Send(response); err != nil {
				return err
			}
		}
		select {
		case request, open := <-requests:
			if !open {
				return nil
			}
			a.hear(client, request)
		case <-changed:
		}
	}
}

// hear takes in what a client asks for, and what it says to the last response.
func (a *ads) hear(client *stream, request *discoveryv3.DiscoveryRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	typeURL := request.GetTypeUrl()
	s := client.subscriptions[typeURL]
	if s == nil {
		s = &subscription{}
		client.subscriptions[typeURL] = s
	}
	s.names = request.GetResourceNames()
	if request.GetResponseNonce() != "" && request.GetResponseNonce() == strconv.Itoa(s.nonce) {
		if detail := request.GetErrorDetail(); detail != nil {
			a.refused = append(a.refused, detail.GetMessage())
		} else {
			s.acknowledged = s.nonce
			for _, name := range s.sent {
				a.taken[id(typeURL, name)] = true
			}
		}
	}
	a.stir()
}

// answers are what a client does not have yet, by type in the order of a Result.
func (a *ads) answers(client *stream) ([]*discoveryv3.DiscoveryResponse, error) {
	var types []string
	for _, r := range a.resources {
		if !slices.Contains(types, r.TypeURL()) {
			types = append(types, r.TypeURL())
		}
	}
	var out []*discoveryv3.DiscoveryResponse
	for _, typeURL := range types {
		s := client.subscriptions[typeURL]
		if s == nil {
			continue
		}
		response, version, err := s.selected(typeURL, a.resources)
		if err != nil {
			return nil, err
		}
		if version == s.version {
			continue
		}
		s.version = version
		s.nonce++
		s.sent = nil
		for _, r := range a.resources {
			if r.TypeURL() == typeURL && (slices.Contains(s.names, r.Name) || len(s.names) == 0) {
				s.sent = append(s.sent, r.Name)
			}
		}
		response.Nonce, response.VersionInfo = strconv.Itoa(s.nonce), strconv.Itoa(s.nonce)
		out = append(out, response)
	}
	return out, nil
}
