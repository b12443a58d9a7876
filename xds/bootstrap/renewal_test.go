package bootstrap_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/bootstrap"
	"github.com/headgate/headgate/xds/cache"
)

// mounted is a directory as Kubernetes mounts a Secret: names lead through a link that is moved when the Secret
// changes.
type mounted struct {
	t   *testing.T
	dir string
}

// change has the directory hold a client's certificate of an authority.
func (m mounted) change(a *pki.Authority) {
	m.t.Helper()
	own := a.Workload("shop")
	version := m.t.TempDir()
	for name, from := range map[string]string{"tls.crt": own.Certificate, "tls.key": own.Key, "ca.crt": a.CA} {
		text, err := os.ReadFile(from)
		if err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(version, name), text, 0o600); err != nil {
			m.t.Fatal(err)
		}
		if _, err := os.Lstat(m.path(name)); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join("..data", name), m.path(name)); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Symlink(version, m.path("..data_tmp")); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.path("..data_tmp"), m.path("..data")); err != nil {
		m.t.Fatal(err)
	}
}

func (m mounted) path(name string) string { return filepath.Join(m.dir, name) }

// awaitClient waits until a client has what there is.
func awaitClient(t *testing.T, c *cache.Cache) {
	t.Helper()
	greeter := cache.Owner{Namespace: "shop", Name: "greeter"}
	observer := c.Observe()
	defer observer.Close()
	deadline := time.After(20 * time.Second)
	for c.Status(greeter).Acked == 0 {
		select {
		case <-observer.Ready():
			observer.Take()
		case <-deadline:
			t.Fatalf("no client: %+v", c.Status(greeter))
		}
	}
}

// Everything changes at once: the signer, and with it the certificates of both sides.
func TestAnEnvoyTakesUpRenewedCertificates(t *testing.T) {
	envoy.Path(t)
	exposed := controlplane.Exposed{
		Namespace: "shop", Name: "greeter", Order: []string{"primary"}, Addresses: map[string][]string{"primary": {"127.0.0.1:9"}},
	}
	before := controlplane.Start(t, controlplane.Config{})
	controlplane.Serve(t, before.Cache, exposed)
	secret := mounted{t, t.TempDir()}
	secret.change(before.Authority)
	c := bootstrap.Config{
		Namespace: "shop", Name: "greeter", Node: "envoy", Servers: []string{before.Address},
		Certificate: secret.path("tls.crt"), Key: secret.path("tls.key"), CA: secret.path("ca.crt"),
	}
	controlplane.RunEnvoy(t, c)
	awaitClient(t, before.Cache)

	renewed := pki.NewAuthority(t)
	secret.change(renewed)
	before.Stop()
	after := controlplane.Start(t, controlplane.Config{Authority: renewed, Address: before.Address})
	controlplane.Serve(t, after.Cache, exposed)
	awaitClient(t, after.Cache)
}
