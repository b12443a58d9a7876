package server

import (
	"context"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/test/pki"
)

// onlyReplicas answers other replicas.
type onlyReplicas struct {
	healthpb.UnimplementedHealthServer
}

func (onlyReplicas) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if who, err := IdentityOf(ctx); err != nil || !who.Replica {
		return nil, status.Errorf(codes.PermissionDenied, "%q is no replica: %v", who.Name, err)
	}
	return &healthpb.HealthCheckResponse{}, nil
}

// TestReplicasKnowEachOtherWhileTheirCertificatesAreRenewed gives two replicas a new key, one after the other, and looks in between whether
// each knows the other: over a connection that was there before, and over a new one.
func TestReplicasKnowEachOtherWhileTheirCertificatesAreRenewed(t *testing.T) {
	authority := pki.NewAuthority(t)
	shared := authority.Server()
	own := func() Files {
		dir := t.TempDir()
		files := Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: authority.CA}
		copyFile(t, shared.Certificate, files.Certificate)
		copyFile(t, shared.Key, files.Key)
		return files
	}
	var replicas [2]*running
	for i := range replicas {
		replicas[i] = start(t, func(c *Config) {
			c.Files = own()
			c.Register = func(r grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(r, onlyReplicas{}) }
		})
	}
	dial := func(from, to int) *grpc.ClientConn {
		conn, err := grpc.NewClient("passthrough:///"+replicas[to].address, grpc.WithTransportCredentials(replicas[from].ReplicaCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var open [2][]*grpc.ClientConn
	look := func(when string) {
		t.Helper()
		for from := range replicas {
			open[from] = append(open[from], dial(from, 1-from))
			for i, conn := range open[from] {
				if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
					t.Errorf("%s: from %d over connection %d: %v", when, from, i, err)
				}
			}
		}
	}
	look("at first")
	for range 2 {
		shared = authority.Server()
		for i, r := range replicas {
			copyFile(t, shared.Certificate, r.certificates.files.Certificate)
			copyFile(t, shared.Key, r.certificates.files.Key)
			if changed, err := r.certificates.load(); err != nil || !changed {
				t.Fatal("the new certificate was not taken up:", err)
			}
			look([]string{"when the first has a new key", "when both have"}[i])
		}
	}
	stranger := start(t, nil)
	conn, err := grpc.NewClient("passthrough:///"+replicas[0].address, grpc.WithTransportCredentials(stranger.ReplicaCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err == nil {
		t.Error("a server with a key of its own is taken for a replica")
	}
}
