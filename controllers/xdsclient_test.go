package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/headgate/headgate/controllers/certificates"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/server"
)

// xdsPKI is an authority and a server's certificate in files.
type xdsPKI struct {
	authority certificates.Pair
	files     server.Files
}

func newXDSPKI(t testing.TB) *xdsPKI {
	t.Helper()
	authority, err := certificates.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Issue(certificates.Names{DNS: []string{"localhost"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &xdsPKI{authority: authority, files: server.Files{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: filepath.Join(dir, "ca.crt"),
	}}
	for file, data := range map[string][]byte{
		p.files.Certificate: own.Certificate, p.files.Key: own.Key, p.files.ClientCAs: authority.Certificate,
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// clientTLS is that of a workload of a namespace.
func (p *xdsPKI) clientTLS(t testing.TB, namespace string) credentials.TransportCredentials {
	t.Helper()
	issued, err := p.authority.Issue(certificates.Names{URI: "spiffe://cluster.local/ns/" + namespace + "/sa/envoy"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(issued.Certificate, issued.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.authority.Certificate)
	return credentials.NewTLS(&tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost", MinVersion: tls.VersionTLS13,
	})
}

// xdsClient asks for everything, as an Envoy does, and acknowledges it unless it is told to refuse.
type xdsClient struct {
	t      testing.TB
	stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	end    func()
	ended  chan struct{}

	mu       sync.Mutex
	have     map[cache.Type]map[string]proto.Message
	versions map[cache.Type]string
	asked    map[cache.Type][]string
	refuse   func(cache.Type, map[string]proto.Message) string
	news     chan struct{}
}

// connect starts a client of the world's namespace at an address.
func (p *xdsPKI) connect(w *world, address, node string, refuse func(cache.Type, map[string]proto.Message) string) *xdsClient {
	w.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(p.clientTLS(w.t, w.namespace)))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	c := &xdsClient{
		t: w.t, stream: stream, ended: make(chan struct{}), refuse: refuse,
		have: map[cache.Type]map[string]proto.Message{}, versions: map[cache.Type]string{}, asked: map[cache.Type][]string{},
		news: make(chan struct{}, 1),
	}
	c.end = sync.OnceFunc(func() {
		cancel()
		<-c.ended
		_ = conn.Close()
	})
	w.t.Cleanup(c.end)
	c.send(&discovery.DiscoveryRequest{Node: &core.Node{Id: node, Cluster: w.namespace}, TypeUrl: cache.Clusters.URL()})
	c.send(&discovery.DiscoveryRequest{TypeUrl: cache.Listeners.URL()})
	go c.receive()
	return c
}

func (c *xdsClient) send(request *discovery.DiscoveryRequest) {
	if err := c.stream.Send(request); err != nil && c.stream.Context().Err() == nil {
		c.t.Logf("the stream has ended: %v", err)
	}
}

func (c *xdsClient) receive() {
	defer close(c.ended)
	for {
		response, err := c.stream.Recv()
		if err != nil {
			return
		}
		c.take(response)
	}
}

// take answers a response, and asks for the assignments of its clusters or the routes of its listeners.
func (c *xdsClient) take(response *discovery.DiscoveryResponse) {
	typ, _ := cache.TypeOf(response.GetTypeUrl())
	got := map[string]proto.Message{}
	for _, packed := range response.GetResources() {
		message, err := packed.UnmarshalNew()
		if err != nil {
			c.t.Errorf("%s: %v", typ, err)
			return
		}
		got[nameIn(message)] = message
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	request := &discovery.DiscoveryRequest{
		TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce(), VersionInfo: c.versions[typ], ResourceNames: c.asked[typ],
	}
	if c.refuse != nil {
		if words := c.refuse(typ, got); words != "" {
			request.ErrorDetail = &status.Status{Code: int32(codes.InvalidArgument), Message: words}
			c.send(request)
			return
		}
	}
	c.versions[typ] = response.GetVersionInfo()
	request.VersionInfo = response.GetVersionInfo()
	if typ.AllRequiredInSotW() || c.have[typ] == nil {
		c.have[typ] = map[string]proto.Message{}
	}
	for name, message := range got {
		c.have[typ][name] = message
	}
	c.send(request)
	switch typ {
	case cache.Clusters:
		c.ask(cache.Endpoints, namesOf(got))
	case cache.Listeners:
		c.ask(cache.Routes, namesOf(got))
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *xdsClient) ask(typ cache.Type, names []string) {
	if len(names) == 0 || slices.Equal(names, c.asked[typ]) {
		return
	}
	c.asked[typ] = names
	c.send(&discovery.DiscoveryRequest{TypeUrl: typ.URL(), ResourceNames: names})
}

// refuseFrom changes what the client refuses from now on.
func (c *xdsClient) refuseFrom(refuse func(cache.Type, map[string]proto.Message) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = refuse
}

func namesOf(messages map[string]proto.Message) []string {
	out := make([]string, 0, len(messages))
	for name := range messages {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func nameIn(message proto.Message) string {
	if a, ok := message.(*endpoint.ClusterLoadAssignment); ok {
		return a.GetClusterName()
	}
	if m, ok := message.(interface{ GetName() string }); ok {
		return m.GetName()
	}
	return ""
}

// names are those of the resources that the client has.
func (c *xdsClient) names(typ cache.Type) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return namesOf(c.have[typ])
}

// health is that of the endpoints of an assignment, such as "primary 10.1.0.1 HEALTHY", in order.
func (c *xdsClient) health(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	assignment, ok := c.have[cache.Endpoints][name].(*endpoint.ClusterLoadAssignment)
	if !ok {
		return ""
	}
	var words []string
	for _, locality := range assignment.GetEndpoints() {
		for _, ep := range locality.GetLbEndpoints() {
			words = append(words, fmt.Sprintf("%d %s %s", locality.GetPriority(),
				ep.GetEndpoint().GetAddress().GetSocketAddress().GetAddress(), ep.GetHealthStatus()))
		}
	}
	return strings.Join(words, ", ")
}

// until waits until something is so, looking whenever the client gets something.
func (c *xdsClient) until(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-c.news:
		case <-c.ended:
			c.t.Fatalf("%s: the stream has ended", what)
		case <-deadline.C:
			c.t.Fatalf("%s: still clusters %v, listeners %v, routes %v", what,
				c.names(cache.Clusters), c.names(cache.Listeners), c.names(cache.Routes))
		}
	}
}
