package resource_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
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
	// changed is closed when resources or answers have.
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
	a := &ads{address: listener.Addr().String(), changed: make(chan struct{}), taken: map[string]bool{}, resources: resources}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, a)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return a
}

// publish replaces the resources.
func (a *ads) publish(resources []resource.Resource) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resources, a.taken = resources, map[string]bool{}
	a.stir()
}

func (a *ads) stir() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// await waits until done of what the clients have taken, and fails as soon as one refuses anything.
func (a *ads) await(ctx context.Context, done func(taken map[string]bool) bool) error {
	for {
		a.mu.Lock()
		finished, refused, taken, changed := done(a.taken), slices.Clone(a.refused), len(a.taken), a.changed
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

// subscription is what one stream has been told of one type.
type subscription struct {
	names   []string
	version string
	nonce   string
	sent    []string
}

func (a *ads) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	requests := make(chan *discoveryv3.DiscoveryRequest)
	go func() {
		defer close(requests)
		for {
			request, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- request:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	subscriptions := map[string]*subscription{}
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		if err := a.answer(stream, subscriptions); err != nil {
			return err
		}
		select {
		case request, open := <-requests:
			if !open {
				return nil
			}
			a.hear(subscriptions, request)
		case <-changed:
		}
	}
}

// hear takes in what a client asks for, and what it says to the last response.
func (a *ads) hear(subscriptions map[string]*subscription, request *discoveryv3.DiscoveryRequest) {
	s := subscriptions[request.GetTypeUrl()]
	if s == nil {
		s = &subscription{}
		subscriptions[request.GetTypeUrl()] = s
	}
	if !slices.Equal(s.names, request.GetResourceNames()) {
		s.names, s.version = request.GetResourceNames(), ""
	}
	if request.GetResponseNonce() == "" || request.GetResponseNonce() != s.nonce {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if detail := request.GetErrorDetail(); detail != nil {
		a.refused = append(a.refused, detail.GetMessage())
	} else {
		for _, name := range s.sent {
			a.taken[name] = true
		}
	}
	a.stir()
}

// answer sends what has changed since the last answer, by type in the order of a Result.
func (a *ads) answer(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer, subscriptions map[string]*subscription) error {
	a.mu.Lock()
	resources := a.resources
	a.mu.Unlock()
	var types []string
	for _, r := range resources {
		if !slices.Contains(types, r.TypeURL()) {
			types = append(types, r.TypeURL())
		}
	}
	for _, typeURL := range types {
		s := subscriptions[typeURL]
		if s == nil {
			continue
		}
		response := &discoveryv3.DiscoveryResponse{TypeUrl: typeURL}
		sent, version := []string{}, "v"
		for _, r := range resources {
			wanted := slices.Contains(s.names, r.Name) || len(s.names) == 0 && r.Audience != resource.GRPCClients
			if r.TypeURL() != typeURL || !wanted {
				continue
			}
			value, err := r.Marshal()
			if err != nil {
				return err
			}
			response.Resources = append(response.Resources, &anypb.Any{TypeUrl: typeURL, Value: value})
			sent = append(sent, id(typeURL, r.Name))
			version += r.Name + string(value)
		}
		if version == s.version {
			continue
		}
		s.version, s.sent = version, sent
		number, _ := strconv.Atoi(s.nonce)
		s.nonce = strconv.Itoa(number + 1)
		response.Nonce, response.VersionInfo = s.nonce, s.nonce
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}
