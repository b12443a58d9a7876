package server

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
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
		files := Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: authority.ClientCA}
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

// Whoever issues certificates for clients can sign any name, so that a name proves nothing.
func TestTheClientsAuthorityMakesNeitherServersNorReplicas(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Register = func(r grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(r, onlyReplicas{}) }
	})
	check := func(address string, creds credentials.TransportCredentials) error {
		t.Helper()
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	}
	forged := r.authority.Issue(pki.ServerNames())
	own, err := tls.LoadX509KeyPair(r.config.Files.Certificate, r.config.Files.Key)
	if err != nil {
		t.Fatal(err)
	}
	asServer, asReplica := r.authority.TLS(forged), r.authority.TLS(forged)
	asReplica.ServerName = replicaName(own)
	asReplica.InsecureSkipVerify = true // the name is no name of the certificate
	if err := check(r.address, credentials.NewTLS(asServer)); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a client with the server's names is taken for a replica: %v", err)
	}
	if err := check(r.address, credentials.NewTLS(asReplica)); status.Code(err) != codes.Unavailable {
		t.Errorf("a client with the server's names gets to the replicas' side: %v", err)
	}
	workload := r.authority.TLS(r.authority.Workload("shop"))
	workload.ServerName, workload.InsecureSkipVerify = replicaName(own), true
	if err := check(r.address, credentials.NewTLS(workload)); status.Code(err) != codes.Unavailable {
		t.Errorf("a workload gets to the replicas' side: %v", err)
	}

	// The same for one who waits where clients and replicas come.
	pretender := start(t, func(c *Config) {
		c.Files = Files{Certificate: forged.Certificate, Key: forged.Key, ClientCAs: r.authority.ClientCA}
	})
	if err := check(pretender.address, credentials.NewTLS(r.authority.TLS(r.authority.Workload("shop")))); status.Code(err) != codes.Unavailable {
		t.Errorf("a client takes it for the server: %v", err)
	}
	if err := check(pretender.address, r.ReplicaCredentials()); status.Code(err) != codes.Unavailable {
		t.Errorf("a replica takes it for a replica: %v", err)
	}
}
