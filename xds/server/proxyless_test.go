package server

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statuspb "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/xds"
	"google.golang.org/grpc/xds/csds"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
)

// childVariable makes the test binary a gRPC client: csds speaks only of the client that the environment's bootstrap
// makes, and the environment is read when the process starts.
const childVariable = "HEADGATE_TEST_XDS_TARGET"

func TestMain(m *testing.M) {
	if target := os.Getenv(childVariable); target != "" {
		if err := callAndReport(target); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// callAndReport makes a call and prints what csds says of the client's resources.
func callAndReport(target string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		return fmt.Errorf("the call: %w", err)
	}
	server, err := csds.NewClientStatusDiscoveryServer()
	if err != nil {
		return err
	}
	defer server.Close()
	response, err := server.FetchClientStatus(ctx, &statuspb.ClientStatusRequest{})
	if err != nil {
		return err
	}
	text, err := protojson.Marshal(response)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// bootstrap is a gRPC client's, as a user would write it.
func (r *running) bootstrap(node string, p pki.Pair) []byte {
	r.t.Helper()
	text, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{
			"server_uri": r.address,
			"channel_creds": []any{map[string]any{"type": "tls", "config": map[string]any{
				"ca_certificate_file": r.authority.CA, "certificate_file": p.Certificate, "private_key_file": p.Key,
			}}},
			"server_features": []string{"xds_v3"},
		}},
		"node": map[string]any{"id": node},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// proxyless is a gRPC client without a proxy.
func (r *running) proxyless(target string, p pki.Pair) *grpc.ClientConn {
	r.t.Helper()
	builder, err := xds.NewXDSResolverWithConfigForTesting(r.bootstrap(r.t.Name(), p))
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := grpc.NewClient(target, grpc.WithResolvers(builder), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestAGRPCClientAcknowledgesEveryResource(t *testing.T) {
	r := start(t, nil)
	_, addresses := startBackends(t, 2)
	r.set(forClients(t, tier{addresses: addresses[:1]}, tier{addresses: addresses[1:]})...)
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(),
		childVariable+"=xds:///greeter.shop",
		"GRPC_XDS_BOOTSTRAP_CONFIG="+string(r.bootstrap("csds", r.authority.Workload("shop"))))
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("client: %v\n%s\nserver's log:\n%s", err, stderr.String(), r.logged)
	}
	var response statuspb.ClientStatusResponse
	if err := protojson.Unmarshal(out, &response); err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for _, config := range response.GetConfig() {
		for _, x := range config.GetGenericXdsConfigs() {
			acked[x.GetTypeUrl()] = x.GetClientStatus().String() == "ACKED" && x.GetVersionInfo() != ""
		}
	}
	for typ := cache.Clusters; typ <= cache.Routes; typ++ {
		if !acked[typ.URL()] {
			t.Errorf("csds does not say that %s was acknowledged: %s", typ, out)
		}
	}
}

func TestAGRPCClientOfAnotherNamespaceFindsNothing(t *testing.T) {
	r := start(t, nil)
	_, addresses := startBackends(t, 1)
	r.set(forClients(t, tier{addresses: addresses})...)
	stranger := r.proxyless("xds:///greeter.shop", r.authority.Workload("bank"))
	own := r.proxyless("xds:///greeter.shop", r.authority.Workload("shop"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := healthpb.NewHealthClient(stranger).Check(ctx, &healthpb.HealthCheckRequest{}); err == nil {
		t.Error("the call of another namespace's client should fail")
	}
	if _, err := healthpb.NewHealthClient(own).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("the call of the namespace's own client: %v", err)
	}
	r.awaitLive(1)
}

func TestAGRPCClientsRefusalIsItsOwnWords(t *testing.T) {
	r := start(t, nil)
	_, addresses := startBackends(t, 1)
	good := forClients(t, tier{addresses: addresses})
	r.set(good...)
	conn := r.proxyless("xds:///greeter.shop", r.authority.Workload("shop"))
	conn.Connect()
	r.awaitLive(1)
	// gRPC refuses an address that is there twice; Envoy does not.
	bad := append([]cache.Resource{}, good...)
	bad[1] = assignmentOf("shop/greeter", tier{addresses: append(addresses, addresses...), health: core.HealthStatus_HEALTHY})
	r.set(bad...)
	refusals := r.awaitStatus("refused", func(s cache.Status) bool { return s.Nacked == 1 })
	if len(refusals) != 1 || refusals[0].Type != cache.Endpoints || !strings.Contains(refusals[0].Message, "duplicate") {
		t.Errorf("refusals: %+v", refusals)
	}
	if r.cache.Status(greeter).AllAcked() {
		t.Error("what was refused is not live")
	}
	r.set(good...)
	r.awaitLive(1)
}
