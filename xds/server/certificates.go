package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
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

	clock clock.PassiveClock
	// ends is told when the certificates end that were read last, by what they are for.
	ends func(of string, at time.Time)
	// remember is how long a key counts as the server's own after another has followed it.
	remember time.Duration
	mu       sync.Mutex
	pairs    []ownPair
}

// ownPair is a certificate and key that the server has or had.
type ownPair struct {
	tls.Certificate

	until time.Time // zero: it is in use
}

func (p *ownPair) counts(now time.Time) bool { return p.until.IsZero() || !now.After(p.until) }

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
	clients, first, err := authorities(read[2])
	if err != nil {
		return false, fmt.Errorf("the xDS server's client CAs %s: %w", c.files.ClientCAs, err)
	}
	c.read = read
	c.use(pair)
	c.ends("server", pair.Leaf.NotAfter)
	c.ends("client-ca", first)
	c.current.Store(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
		// A ticket that one replica issues means nothing to another, and each connection shows its certificate.
		SessionTicketsDisabled: true,
	})
	return true, nil
}

// authorities reads certificates, and says when the first of them ends.
func authorities(text []byte) (pool *x509.CertPool, first time.Time, err error) {
	pool = x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, time.Time{}, err
		}
		pool.AddCert(certificate)
		if first.IsZero() || certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
	}
	if first.IsZero() {
		return nil, time.Time{}, errors.New("no certificate in it")
	}
	return pool, first, nil
}

// ended says which of the certificates in use has ended; nil: none.
func (c *certificates) ended() error {
	current := c.find(func(tls.Certificate) bool { return true })
	if now := c.clock.Now(); current != nil && now.After(current.Leaf.NotAfter) {
		return fmt.Errorf("the xDS server's certificate %s has ended on %s: clients refuse it; renew it",
			c.files.Certificate, current.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// use makes a pair the server's own. The ones before count for a while: connections that were made with them go on, and other replicas
// may not have the new one yet.
func (c *certificates) use(pair tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	c.pairs = slices.DeleteFunc(c.pairs, func(p ownPair) bool {
		return sameKey(p.Leaf.PublicKey, pair.Leaf.PublicKey) || !p.counts(now)
	})
	for i := range c.pairs {
		if c.pairs[i].until.IsZero() {
			c.pairs[i].until = now.Add(c.remember)
		}
	}
	c.pairs = append(c.pairs, ownPair{Certificate: pair})
}

// find is the newest own pair that is right; nil: none is.
func (c *certificates) find(right func(tls.Certificate) bool) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	for _, p := range slices.Backward(c.pairs) {
		if p.counts(now) && right(p.Certificate) {
			return &p.Certificate
		}
	}
	return nil
}

// own is the pair with the key of the peer with these certificates; nil: the peer has another key.
func (c *certificates) own(presented []*x509.Certificate) *tls.Certificate {
	if len(presented) == 0 {
		return nil
	}
	return c.find(func(pair tls.Certificate) bool { return sameKey(pair.Leaf.PublicKey, presented[0].PublicKey) })
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
		if err == nil {
			err = c.ended()
		}
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

// config is for handshakes: each gets the certificates of its time, and another replica the one that it knows.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			current := c.current.Load()
			if !isReplicaName(hello.ServerName) {
				return current, nil
			}
			config := current.Clone()
			if known := c.find(func(pair tls.Certificate) bool { return hello.ServerName == replicaName(pair) }); known != nil {
				config.Certificates = []tls.Certificate{*known}
			}
			// Who comes by such a name shows the shared key or is refused. The clients' authorities have not signed a certificate with it:
			// the server's is another.
			config.ClientAuth = tls.RequireAnyClientCert
			config.VerifyConnection = func(state tls.ConnectionState) error {
				if c.own(state.PeerCertificates) == nil {
					return errNoReplica
				}
				return nil
			}
			return config, nil
		},
	}
}
