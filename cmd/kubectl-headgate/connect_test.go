package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/xds"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/bootstrap"
)

// patience is how long a first call may take: a client connects, is configured and connects again.
const patience = 20 * time.Second

// startBackend is a gRPC server that answers health checks, which is all that is called.
func startBackend(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// serveGreeter has a control plane serve the greeter, and the flags that lead to it. The first of two servers is
// where nobody is. The port is that of Envoys.
func serveGreeter(t *testing.T) (flags []string, port int) {
	t.Helper()
	plane := controlplane.Start(t, controlplane.Config{})
	backend, nobody := startBackend(t), controlplane.FreePort(t)
	kubeconfig := having(t, greeter("shop"))
	port = controlplane.FreePort(t) // nothing that listens may come after this
	controlplane.Serve(t, plane.Cache, controlplane.Exposed{
		Namespace: "shop", Name: "greeter", Port: port, Order: []string{"primary"},
		Addresses: map[string][]string{"primary": {backend}},
	})
	own := plane.Authority.Workload("shop")
	return []string{
		"--certificate", own.Certificate, "--key", own.Key, "--ca", plane.Authority.CA,
		"--xds-server", net.JoinHostPort("127.0.0.1", strconv.Itoa(nobody)), "--xds-server", plane.Address,
		"--kubeconfig", kubeconfig,
	}, port
}

func call(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Errorf("the call: %v", err)
	}
}

func TestAGRPCClientConnectsWithIt(t *testing.T) {
	flags, _ := serveGreeter(t)
	got := say(t, append([]string{"bootstrap", "grpc", "greeter"}, flags...)...)
	if got.failure != nil {
		t.Fatal(got.failure)
	}
	resolver, err := xds.NewXDSResolverWithConfigForTesting([]byte(got.out))
	if err != nil {
		t.Fatalf("gRPC refuses it: %v", err)
	}
	conn, err := grpc.NewClient("xds:///greeter.shop", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	call(t, conn)
}

func TestAnEnvoyConnectsWithIt(t *testing.T) {
	envoy.Path(t)
	flags, port := serveGreeter(t)
	directory := t.TempDir()
	got := say(t, append([]string{"bootstrap", "envoy", "greeter", "-o", directory, "--admin-port", "0"}, flags...)...)
	if got.failure != nil {
		t.Fatal(got.failure)
	}
	envoy.RunFile(t, filepath.Join(directory, bootstrap.EnvoyFile))
	conn, err := grpc.NewClient(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	call(t, conn)
}

func TestEnvoyValidatesWhatIsPrinted(t *testing.T) {
	envoy.Path(t)
	directory := t.TempDir()
	authority := pki.NewAuthority(t)
	own := authority.Workload("shop")
	got := say(t, "bootstrap", "envoy", "greeter", "--directory", directory, "--kubeconfig", having(t, greeter("shop")),
		"--certificate", own.Certificate, "--key", own.Key, "--ca", authority.CA)
	if got.failure != nil {
		t.Fatal(got.failure)
	}
	var printed corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(got.out), &printed); err != nil {
		t.Fatal(err)
	}
	for name, text := range printed.Data {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	envoy.ValidateFile(t, filepath.Join(directory, bootstrap.EnvoyFile))
}
