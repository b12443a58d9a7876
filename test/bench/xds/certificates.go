package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/headgate/headgate/controllers/certificates"
	"github.com/headgate/headgate/xds/server"
)

// filesIn are where the certificates of a server are.
func filesIn(dir string) server.Files {
	return server.Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCAs: filepath.Join(dir, "ca.crt")}
}

// serverName is in the server's certificate.
const serverName = "headgate-xds.example.com"

// issue makes authorities and a server's certificate in files, and the credentials of a client, as the product makes them.
func issue(dir string) credentials.TransportCredentials {
	now := time.Now()
	servers, err := certificates.Authorities{}.Renewed(certificates.Servers, now)
	must(err)
	clients, err := certificates.Authorities{}.Renewed(certificates.Clients, now)
	must(err)
	own, err := servers.Signer.Issue(certificates.Names{DNS: []string{serverName}}, now)
	must(err)
	client, err := clients.Signer.Issue(certificates.Names{URI: "spiffe://cluster.local/ns/shop/sa/client"}, now)
	must(err)
	files := filesIn(dir)
	for file, text := range map[string][]byte{files.ClientCAs: clients.Bundle, files.Certificate: own.Certificate, files.Key: own.Key} {
		must(os.WriteFile(file, text, 0o600))
	}
	pair, err := tls.X509KeyPair(client.Certificate, client.Key)
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(servers.Bundle)
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName, RootCAs: roots, Certificates: []tls.Certificate{pair}})
}
