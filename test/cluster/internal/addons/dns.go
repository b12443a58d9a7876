package addons

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/netns"
	"github.com/headgate/headgate/test/cluster/internal/node"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

const coreDNSImage = "registry.k8s.io/coredns/coredns:" + pieces.CoreDNSVersion

// LoadBaseImages imports the images without which no pod starts and no name is resolved. folders are the built pieces.
func LoadBaseImages(ctx context.Context, cluster layout.Cluster, folders map[string]string) error {
	for _, content := range []image.Image{
		{
			Name: node.PauseImage, Entrypoint: []string{"/pause"}, User: "65535:65535",
			Files: []image.File{{From: filepath.Join(folders[pieces.Pause.Name], "pause"), To: "/pause"}},
		},
		{
			Name: coreDNSImage, Entrypoint: []string{"/coredns"},
			Files: []image.File{{From: filepath.Join(folders[pieces.CoreDNS.Name], "coredns"), To: "/coredns"}},
		},
	} {
		if _, err := LoadImage(ctx, cluster, content); err != nil {
			return err
		}
	}
	return nil
}

// ApplyDNS creates CoreDNS in the cluster.
func ApplyDNS(ctx context.Context, cluster layout.Cluster) error {
	manifests, err := renderManifest("coredns.yaml", struct {
		Image   string
		Address netip.Addr
	}{coreDNSImage, layout.DNS})
	if err != nil {
		return err
	}
	return apply(ctx, cluster, manifests)
}

// WaitForDNS returns when the name of the API server's Service resolves through the ClusterIP of CoreDNS.
// That the pod is ready does not tell: a client whose query is lost before kube-proxy knows the pod waits for 5 s.
func WaitForDNS(ctx context.Context, cluster layout.Cluster) error {
	return wait.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		return stopIfDead(cluster, lookUpAPIServer(ctx, cluster))
	})
}

func lookUpAPIServer(ctx context.Context, cluster layout.Cluster) error {
	const name = "kubernetes.default.svc.cluster.local."
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialInside(ctx, cluster, network, net.JoinHostPort(layout.DNS.String(), "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return fmt.Errorf("cluster DNS does not answer: %w", err)
	}
	if want := layout.KubernetesService.String(); !slices.Contains(addresses, want) {
		return fmt.Errorf("cluster DNS says %v for %s, want %s", addresses, name, want)
	}
	return nil
}

// dialInside connects to an address in the cluster's network. The address must be numeric, so that it is done by one goroutine.
func dialInside(ctx context.Context, cluster layout.Cluster, network, address string) (connection net.Conn, err error) {
	init, running := cluster.InitPID()
	if !running {
		return nil, fmt.Errorf("cluster %q is not running", cluster.Name)
	}
	err = netns.Do(init, func() (err error) {
		var dialer net.Dialer
		connection, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return connection, err
}
