package controllers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/xds"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/certificates"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/xds/bootstrap"
)

// clientOf is how kubectl headgate bootstrap has a client of an ExposedService start.
func (p *xdsPKI) clientOf(w *world, address, node string) bootstrap.Config {
	w.t.Helper()
	issued, err := p.authority.Issue(certificates.Names{URI: "spiffe://cluster.local/ns/" + w.namespace + "/sa/client"}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := w.t.TempDir()
	config := bootstrap.Config{
		Namespace: w.namespace, Name: "greeter", Node: node, Servers: []string{"localhost:" + port}, Directory: dir,
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: p.files.ClientCAs,
	}
	for file, data := range map[string][]byte{config.Certificate: issued.Certificate, config.Key: issued.Key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return config
}

// served is an ExposedService over xDS without endpoints, which clients take and do not dial.
func (w *world) served(p *xdsPKI) (exs *v1alpha1.ExposedService, address string) {
	w.t.Helper()
	w.create(w.service("primary-svc"), w.service("backup-svc"))
	option, address := servingXDS(w.t, p, "replica-a")
	w.startOperator(option)
	exs = w.exposedService("greeter", overXDS(0))
	exs.Spec.XDS.Port = nil
	w.create(exs)
	w.untilReady(exs)
	return exs, address
}

func (w *world) untilAcknowledged(exs *v1alpha1.ExposedService) {
	w.t.Helper()
	w.eventually("the client has acknowledged everything", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged)
	})
}

// gRPC's own client takes what the operator serves.
func TestAGRPCClientAcknowledgesWhatTheOperatorServes(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), newXDSPKI(t)
	exs, address := w.served(p)
	start, err := bootstrap.GRPC(p.clientOf(w, address, "grpc-1"))
	if err != nil {
		t.Fatal(err)
	}
	builder, err := xds.NewXDSResolverWithConfigForTesting(start)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///greeter."+w.namespace, grpc.WithResolvers(builder), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conn.Connect()
	w.untilAcknowledged(exs)
}

// A real Envoy takes what the operator serves, and what changes.
func TestAnEnvoyAcknowledgesWhatTheOperatorServes(t *testing.T) {
	envoy.Path(t)
	w, p := newWorld(t), newXDSPKI(t)
	exs, address := w.served(p)
	config := p.clientOf(w, address, "envoy-1")
	files, err := bootstrap.EnvoyFiles(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(config.Directory, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := yaml.YAMLToJSON(files[bootstrap.EnvoyFile])
	if err != nil {
		t.Fatal(err)
	}
	var start bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(text, &start); err != nil {
		t.Fatal(err)
	}
	for _, c := range start.GetStaticResources().GetClusters() {
		// The name of the server stands for its IPv4 address here.
		c.DnsLookupFamily = clusterv3.Cluster_V4_ONLY
	}
	envoy.Run(t, &start)
	w.untilAcknowledged(exs)
	edit(w, exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Traffic = &v1alpha1.Traffic{HealthCheck: &v1alpha1.HealthCheck{Mode: ptr.To(v1alpha1.HealthCheckAlways)}}
	})
	w.eventually("it has acknowledged the other cluster", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged); err != nil {
			return err
		}
		if !xdsfeed.IsLive(exs) {
			return fmt.Errorf("status.xds %+v", exs.Status.XDS)
		}
		return nil
	})
}
