package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/headgate/headgate/xds/server"
)

// filesIn are where the certificates of a server are.
func filesIn(dir string) server.Files {
	return server.Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: filepath.Join(dir, "ca.crt")}
}

// issue makes an authority, a server's certificate in files, and the credentials of a client.
func issue(dir string) credentials.TransportCredentials {
	files := filesIn(dir)
	authorityKey := newKey()
	authority := template()
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	authority, _ = sign(authority, authority, authorityKey, authorityKey)
	write(files.ClientCAs, "CERTIFICATE", authority.Raw)

	own, key := template(), newKey()
	own.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	own, _ = sign(own, authority, key, authorityKey)
	write(files.Certificate, "CERTIFICATE", own.Raw)
	text, err := x509.MarshalECPrivateKey(key)
	must(err)
	write(files.Key, "EC PRIVATE KEY", text)

	client, key := template(), newKey()
	client.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/client"}}
	client, _ = sign(client, authority, key, authorityKey)
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots,
		Certificates: []tls.Certificate{{Certificate: [][]byte{client.Raw}, PrivateKey: key, Leaf: client}},
	})
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func template() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func sign(what, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, what, by, key.Public(), byKey)
	must(err)
	out, err := x509.ParseCertificate(der)
	must(err)
	return out, nil
}

func write(file, kind string, der []byte) {
	must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
