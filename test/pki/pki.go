// Package pki gives tests certificates: the authorities of servers and of clients, and what they sign, each in files.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates, as Headgate's chart does: servers' by one authority, clients' by another, each for its side alone.
type Authority struct {
	// CA is the file with the certificate of the servers' authority, which clients trust. ClientCA is that of the clients' authority.
	CA, ClientCA string

	t                testing.TB
	servers, clients signer
}

type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Pair is a certificate and its key, in files.
type Pair struct{ Certificate, Key string }

// Names are whom a certificate is for.
type Names struct {
	DNS []string
	IP  []net.IP
	// URI is empty for none.
	URI string
}

// NewAuthority makes one.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	dir := t.TempDir()
	a := &Authority{t: t, CA: filepath.Join(dir, "ca.crt"), ClientCA: filepath.Join(dir, "client-ca.crt")}
	a.servers = newSigner(t, a.CA, x509.ExtKeyUsageServerAuth)
	a.clients = newSigner(t, a.ClientCA, x509.ExtKeyUsageClientAuth)
	return a
}

func newSigner(t testing.TB, file string, usage x509.ExtKeyUsage) signer {
	t.Helper()
	s := signer{key: newKey(t)}
	template := newTemplate(t)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	if s.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, file, "CERTIFICATE", der)
	return s
}

// Server is a certificate for servers on 127.0.0.1 and localhost.
func (a *Authority) Server() Pair {
	a.t.Helper()
	return a.sign(a.servers, ServerNames())
}

// ServerNames are those of Server.
func ServerNames() Names {
	return Names{DNS: []string{"localhost"}, IP: []net.IP{net.IPv4(127, 0, 0, 1)}}
}

// Workload is a certificate of a namespace's service account.
func (a *Authority) Workload(namespace string) Pair {
	a.t.Helper()
	return a.Issue(Names{URI: "spiffe://cluster.local/ns/" + namespace + "/sa/client"})
}

// Issue has the clients' authority sign a certificate.
func (a *Authority) Issue(names Names) Pair {
	a.t.Helper()
	return a.sign(a.clients, names)
}

func (a *Authority) sign(by signer, names Names) Pair {
	a.t.Helper()
	template, key := newTemplate(a.t), newKey(a.t)
	template.DNSNames, template.IPAddresses = names.DNS, names.IP
	if names.URI != "" {
		uri, err := url.Parse(names.URI)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = []*url.URL{uri}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key) // which Java can read
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	p := Pair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	write(a.t, p.Certificate, "CERTIFICATE", der)
	write(a.t, p.Key, "PRIVATE KEY", keyDER)
	return p
}

// TLS is that of a client with the certificate; with no files in the pair, of one without.
func (a *Authority) TLS(p Pair) *tls.Config {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.servers.certificate)
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if p == (Pair{}) {
		return config
	}
	own, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		a.t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{own}
	return config
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newTemplate(t testing.TB) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: t.Name()},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
