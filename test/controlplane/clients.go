package controlplane

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/xds"

	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/xds/bootstrap"
)

// Bootstrap is how `kubectl headgate bootstrap` has a client of an ExposedService start, for replicas with one authority, in
// order of preference.
func Bootstrap(t testing.TB, namespace, name string, replicas ...*ControlPlane) bootstrap.Config {
	t.Helper()
	own := replicas[0].Authority.Workload(namespace)
	c := bootstrap.Config{
		Namespace: namespace, Name: name, Node: t.Name(),
		Certificate: own.Certificate, Key: own.Key, CA: replicas[0].Authority.CA,
	}
	for _, r := range replicas {
		c.Servers = append(c.Servers, r.Address)
	}
	return c
}

// RunEnvoy starts an Envoy with the files of a bootstrap.
func RunEnvoy(t testing.TB, c bootstrap.Config, changes ...func(text []byte) []byte) {
	t.Helper()
	c.Directory = t.TempDir()
	files, err := bootstrap.EnvoyFiles(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		for _, change := range changes {
			text = change(text)
		}
		if err := os.WriteFile(filepath.Join(c.Directory, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	envoy.RunFile(t, filepath.Join(c.Directory, bootstrap.EnvoyFile))
}

// InStateOfTheWorld has an Envoy speak the other variant of xDS than its bootstrap says.
func InStateOfTheWorld(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte("DELTA_GRPC"), []byte("GRPC"))
}

// InNamespace has an Envoy ask for everything of its namespace.
func InNamespace(text []byte) []byte { return ofOne.ReplaceAll(text, []byte("cluster: $1\n")) }

// ofOne is a node.cluster that selects one ExposedService.
var ofOne = regexp.MustCompile(`cluster: ([a-z-]+)/[a-z-]+\n`)

// Through is a connection to an Envoy that listens on a loopback port.
func Through(t testing.TB, port int, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	return dial(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), options...)
}

// Proxyless is a gRPC client without a proxy.
func Proxyless(t testing.TB, c bootstrap.Config, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	text, err := bootstrap.GRPC(c)
	if err != nil {
		t.Fatal(err)
	}
	return ProxylessWith(t, text, "xds:///"+c.Name+"."+c.Namespace, options...)
}

// ProxylessWith is a gRPC client with a bootstrap, as JSON.
func ProxylessWith(t testing.TB, text []byte, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	resolver, err := xds.NewXDSResolverWithConfigForTesting(text)
	if err != nil {
		t.Fatalf("gRPC refuses the bootstrap: %v", err)
	}
	return dial(t, target, append(options, grpc.WithResolvers(resolver))...)
}

func dial(t testing.TB, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// FreePort is a loopback port that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
}
