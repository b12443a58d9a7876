package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// reloadInterval is how often the files are read. Kubernetes itself takes about a minute to change them.
const reloadInterval = 5 * time.Second

// certificates are the server's side of TLS, as the files say it now. Files that do not fit together
// change nothing: they may be half-way written.
type certificates struct {
	files   Files
	current atomic.Pointer[tls.Config]
	read    [3][]byte
}

// load reads the files and says whether they changed anything.
func (c *certificates) load() (changed bool, err error) {
	var read [3][]byte
	for i, name := range []string{c.files.Certificate, c.files.Key, c.files.ClientCAs} {
		if read[i], err = os.ReadFile(name); err != nil { //nolint:gosec // whoever starts the server says where they are
			return false, fmt.Errorf("reading the certificates of the xDS server: %w", err)
		}
	}
	same := true
	for i := range read {
		same = same && bytes.Equal(read[i], c.read[i])
	}
	if same {
		return false, nil
	}
	pair, err := tls.X509KeyPair(read[0], read[1])
	if err != nil {
		return false, fmt.Errorf("the xDS server's certificate %s: %w", c.files.Certificate, err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(read[2]) {
		return false, fmt.Errorf("the xDS server's client CAs %s: %w", c.files.ClientCAs, errors.New("no certificate in it"))
	}
	c.read = read
	c.current.Store(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	})
	return true, nil
}

// follow takes up changes until the context ends.
func (c *certificates) follow(ctx context.Context, clk clock.WithTicker, log logr.Logger) {
	ticker := clk.NewTicker(reloadInterval)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		changed, err := c.load()
		switch {
		case err != nil && err.Error() != said:
			log.Error(err, "Keeping the certificates that are in use")
			said = err.Error()
		case err == nil:
			said = ""
		}
		if changed {
			log.Info("New certificates of the xDS server are in use")
		}
	}
}

// config is for handshakes: each gets the certificates of its time.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
	}
}
