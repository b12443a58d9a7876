package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	adminpb "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlspb "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/xds/cache"
)

// proxy is an Envoy that has everything from the server.
type proxy struct {
	t     *testing.T
	admin string
	port  int // of its listener
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (r *running) envoy(t *testing.T, api core.ApiConfigSource_ApiType) *proxy {
	t.Helper()
	p := &proxy{t: t, port: freePort(t)}
	adminPort := freePort(t)
	p.admin = fmt.Sprintf("http://127.0.0.1:%d", adminPort)
	own := r.authority.Workload("shop")
	file := func(name string) *core.DataSource {
		return &core.DataSource{Specifier: &core.DataSource_Filename{Filename: name}}
	}
	controlPlane := clusterOf(t, "headgate", time.Second).Message.(*cluster.Cluster)
	controlPlane.ClusterDiscoveryType, controlPlane.EdsClusterConfig = nil, nil
	controlPlane.LoadAssignment = assignmentOf("headgate", tier{addresses: []string{r.address}}).Message.(*endpoint.ClusterLoadAssignment)
	controlPlane.TransportSocket = &core.TransportSocket{
		Name: "envoy.transport_sockets.tls",
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(t, &tlspb.UpstreamTlsContext{
			Sni: "localhost",
			CommonTlsContext: &tlspb.CommonTlsContext{
				TlsParams:             &tlspb.TlsParameters{TlsMaximumProtocolVersion: tlspb.TlsParameters_TLSv1_3},
				TlsCertificates:       []*tlspb.TlsCertificate{{CertificateChain: file(own.Certificate), PrivateKey: file(own.Key)}},
				ValidationContextType: &tlspb.CommonTlsContext_ValidationContext{ValidationContext: &tlspb.CertificateValidationContext{TrustedCa: file(r.authority.CA)}},
			},
		})},
	}
	envoy.Run(t, &bootstrap.Bootstrap{
		Node: &core.Node{Id: t.Name(), Cluster: "shop"},
		Admin: &bootstrap.Admin{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(adminPort)},
		}}}},
		StaticResources: &bootstrap.Bootstrap_StaticResources{Clusters: []*cluster.Cluster{controlPlane}},
		DynamicResources: &bootstrap.Bootstrap_DynamicResources{
			CdsConfig: ads(), LdsConfig: ads(),
			AdsConfig: &core.ApiConfigSource{
				ApiType: api, TransportApiVersion: core.ApiVersion_V3, SetNodeOnFirstMessageOnly: true,
				GrpcServices: []*core.GrpcService{{TargetSpecifier: &core.GrpcService_EnvoyGrpc_{
					EnvoyGrpc: &core.GrpcService_EnvoyGrpc{ClusterName: "headgate"},
				}}},
			},
		},
	})
	return p
}

func (p *proxy) get(path string) []byte {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.admin+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

// rejected is the sum of Envoy's counters of rejected updates.
func (p *proxy) rejected() int {
	p.t.Helper()
	var stats struct {
		Stats []struct {
			Name  string
			Value int
		}
	}
	if err := json.Unmarshal(p.get("/stats?format=json&filter=update_rejected$"), &stats); err != nil {
		p.t.Fatal(err)
	}
	if len(stats.Stats) < 4 {
		p.t.Fatalf("Envoy counts rejected updates of %d subscriptions only", len(stats.Stats))
	}
	sum := 0
	for _, s := range stats.Stats {
		sum += s.Value
	}
	return sum
}

// dump is what Envoy has, by type URL and name.
func (p *proxy) dump() map[string]proto.Message {
	p.t.Helper()
	var all adminpb.ConfigDump
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(p.get("/config_dump?include_eds"), &all); err != nil {
		p.t.Fatal(err)
	}
	found := map[string]proto.Message{}
	keep := func(packed *anypb.Any) {
		message, err := packed.UnmarshalNew()
		if err != nil {
			p.t.Fatal(err)
		}
		found[nameOf(message)] = message
	}
	for _, section := range all.GetConfigs() {
		message, err := section.UnmarshalNew()
		if err != nil {
			p.t.Fatal(err)
		}
		switch dump := message.(type) {
		case *adminpb.ClustersConfigDump:
			for _, c := range dump.GetDynamicActiveClusters() {
				keep(c.GetCluster())
			}
		case *adminpb.ListenersConfigDump:
			for _, l := range dump.GetDynamicListeners() {
				keep(l.GetActiveState().GetListener())
			}
		case *adminpb.RoutesConfigDump:
			for _, c := range dump.GetDynamicRouteConfigs() {
				keep(c.GetRouteConfig())
			}
		}
	}
	return found
}

func nameOf(message proto.Message) string {
	named := message.(interface{ GetName() string })
	return string(message.ProtoReflect().Descriptor().Name()) + " " + named.GetName()
}

// forEnvoy is all that an Envoy needs of the greeter, in a cluster of that name.
func forEnvoy(t testing.TB, port int, clusterName string, addresses []string) []cache.Resource {
	t.Helper()
	return []cache.Resource{
		clusterOf(t, clusterName, time.Second),
		assignmentOf(clusterName, tier{addresses: addresses}),
		envoyListenerOf(t, "shop/9090", "shop/9090", port),
		routeOf("shop/9090", clusterName),
	}
}

func eachAPI(t *testing.T, test func(t *testing.T, api core.ApiConfigSource_ApiType)) {
	t.Helper()
	envoy.Path(t)
	t.Run("state of the world", func(t *testing.T) { test(t, core.ApiConfigSource_GRPC) })
	t.Run("incremental", func(t *testing.T) { test(t, core.ApiConfigSource_DELTA_GRPC) })
}

func TestEnvoyHasWhatWasSent(t *testing.T) {
	eachAPI(t, func(t *testing.T, api core.ApiConfigSource_ApiType) {
		r := start(t, nil)
		_, addresses := startBackends(t, 2)
		p := r.envoy(t, api)
		sent := forEnvoy(t, p.port, "shop/greeter", addresses)
		r.set(sent...)
		r.awaitLive(1)
		if rejected := p.rejected(); rejected != 0 {
			t.Errorf("Envoy rejected %d updates", rejected)
		}
		has := p.dump()
		for _, i := range []int{0, 2, 3} {
			name := nameOf(sent[i].Message)
			if diff := cmp.Diff(sent[i].Message, has[name], protocmp.Transform()); diff != "" {
				t.Errorf("%s in Envoy (-sent +has):\n%s", name, diff)
			}
		}
		clusters := string(p.get("/clusters"))
		for _, a := range addresses {
			if !strings.Contains(clusters, "shop/greeter::"+a) {
				t.Errorf("Envoy does not have endpoint %s", a)
			}
		}
		if err := p.call(t.Context()); err != nil {
			t.Errorf("a call through Envoy: %v", err)
		}
	})
}

// conn is a connection to the greeter through Envoy.
func (p *proxy) conn() *grpc.ClientConn {
	p.t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", p.port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *proxy) call(ctx context.Context) error {
	_, err := healthpb.NewHealthClient(p.conn()).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func TestEnvoyRejectsOnceAndRecovers(t *testing.T) {
	eachAPI(t, func(t *testing.T, api core.ApiConfigSource_ApiType) {
		r := start(t, nil)
		_, addresses := startBackends(t, 2)
		p := r.envoy(t, api)
		good := forEnvoy(t, p.port, "shop/greeter", addresses)
		r.set(good...)
		r.awaitLive(1)
		bad := append([]cache.Resource{}, good...)
		wrong := proto.Clone(good[3].Message).(*route.RouteConfiguration)
		wrong.VirtualHosts[0].Routes[0].Match.PathSpecifier = &route.RouteMatch_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: "("}}
		bad[3].Message = wrong
		r.set(bad...)
		refusals := r.awaitStatus("refused", func(s cache.Status) bool { return s.Nacked == 1 })
		if len(refusals) != 1 || refusals[0].Type != cache.Routes || !strings.Contains(refusals[0].Message, "missing )") {
			t.Errorf("Envoy's words: %+v", refusals)
		}
		// Another change is taken, and what was refused is not sent with it.
		bad[1] = assignmentOf("shop/greeter", tier{addresses: addresses[:1]})
		r.set(bad...)
		stillOther := cache.Owner{Namespace: "shop", Name: "other"}
		if _, err := r.cache.Set(stillOther, []cache.Resource{clusterOf(t, "shop/other", time.Second), assignmentOf("shop/other")}); err != nil {
			t.Fatal(err)
		}
		r.awaitOwner(stillOther)
		if rejected := p.rejected(); rejected != 1 {
			t.Errorf("Envoy rejected %d updates, one was wrong", rejected)
		}
		r.set(good...)
		r.awaitLive(1)
		if rejected := p.rejected(); rejected != 1 {
			t.Errorf("Envoy rejected %d updates in all, one was wrong", rejected)
		}
		if err := p.call(t.Context()); err != nil {
			t.Errorf("a call through Envoy: %v", err)
		}
	})
}

// awaitOwner waits until the only client has acknowledged an owner.
func (r *running) awaitOwner(o cache.Owner) {
	r.t.Helper()
	observer := r.cache.Observe()
	defer observer.Close()
	deadline := time.After(20 * time.Second)
	for s := r.cache.Status(o); s.Clients != 1 || s.Acked != 1; s = r.cache.Status(o) {
		select {
		case <-observer.Ready():
		case <-deadline:
			r.t.Fatalf("%s is still %+v", o, s)
		}
	}
}

func TestReplacingTheClusterOfAnEnvoyLosesNoCall(t *testing.T) {
	eachAPI(t, func(t *testing.T, api core.ApiConfigSource_ApiType) {
		r := start(t, nil)
		_, addresses := startBackends(t, 2)
		p := r.envoy(t, api)
		r.set(forEnvoy(t, p.port, "greeter-0", addresses)...)
		r.awaitLive(1)
		l, stop := startLoad(t, p.conn())
		const changes = 30
		for i := range changes {
			r.set(forEnvoy(t, p.port, fmt.Sprintf("greeter-%d", i+1), addresses)...)
			r.awaitLive(1)
		}
		stop()
		t.Logf("%d calls during %d changes of cluster and route, %d failed", l.calls.Load(), changes, l.failed.Load())
		if l.failed.Load() > 0 || l.calls.Load() == 0 {
			t.Errorf("%d of %d calls failed: %v", l.failed.Load(), l.calls.Load(), l.problems)
		}
		if rejected := p.rejected(); rejected != 0 {
			t.Errorf("Envoy rejected %d updates", rejected)
		}
	})
}

func TestAnEnvoyThatComesBackIsBroughtUpToDate(t *testing.T) {
	eachAPI(t, func(t *testing.T, api core.ApiConfigSource_ApiType) {
		// The connection ends every second; the Envoy comes again.
		r := start(t, func(c *Config) {
			c.Keepalive.MaxAge, c.Keepalive.MaxAgeGrace = time.Second, 100*time.Millisecond
		})
		_, addresses := startBackends(t, 2)
		p := r.envoy(t, api)
		r.set(forEnvoy(t, p.port, "shop/greeter", addresses)...)
		r.awaitLive(1)
		r.awaitStatus("the connection is cut", func(s cache.Status) bool { return s.Clients == 0 })
		r.set(forEnvoy(t, p.port, "shop/greeter", addresses[:1])...)
		r.awaitLive(1)
		if clusters := string(p.get("/clusters")); strings.Contains(clusters, addresses[1]) {
			t.Error("Envoy still has the endpoint that went while it was away")
		}
		if rejected := p.rejected(); rejected != 0 {
			t.Errorf("Envoy rejected %d updates", rejected)
		}
	})
}
