package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/controllers/certificates"
)

// havingAuthority is a cluster with the Secrets that the chart's Job makes: of the clients' authority, which says whom to trust.
func havingAuthority(t *testing.T) (kubeconfig string) {
	t.Helper()
	return authoritiesIn(t, newAuthorities(t, certificates.Clients), nil, newAuthorities(t, certificates.Servers).Bundle)
}

func newAuthorities(t *testing.T, side certificates.Side) certificates.Authorities {
	t.Helper()
	authorities, err := certificates.Authorities{}.Renewed(side, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authorities
}

// authoritiesIn is a cluster with the Secrets of authorities: the server's if there is one, and beside the clients' what they are told.
func authoritiesIn(t *testing.T, clients certificates.Authorities, servers *certificates.Authorities, told []byte) (kubeconfig string) {
	t.Helper()
	secret := func(name string, a certificates.Authorities) corev1.Secret {
		return corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "headgate-system", Name: name},
			Data:       map[string][]byte{"tls.crt": a.Signer.Certificate, "tls.key": a.Signer.Key, "ca.crt": a.Bundle},
		}
	}
	return cluster(t, func(path string) (int, any) {
		switch {
		case path == "/api/v1/namespaces/headgate-system/secrets/headgate-xds-ca":
			out := secret("headgate-xds-ca", clients)
			if told != nil {
				out.Data[certificates.KeyServerAuthority] = told
			}
			return http.StatusOK, out
		case path == "/api/v1/namespaces/headgate-system/secrets/headgate-xds-server-ca" && servers != nil:
			return http.StatusOK, secret("headgate-xds-server-ca", *servers)
		}
		return http.StatusNotFound, failure(metav1.StatusReasonNotFound, http.StatusNotFound, path)
	})
}

func certificateIn(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no certificate in %q", text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestACertificateIsPrintedAsASecretOfTheClientsNamespace(t *testing.T) {
	got := say(t, "certificate", "edge-xds", "--service-account", "edge", "--days", "30", "--kubeconfig", havingAuthority(t))
	if got.failure != nil {
		t.Fatal(got.failure)
	}
	var secret corev1.Secret
	if err := yaml.UnmarshalStrict([]byte(got.out), &secret); err != nil {
		t.Fatal(err)
	}
	if secret.Namespace != "shop" || secret.Name != "edge-xds" || secret.Type != corev1.SecretTypeTLS {
		t.Errorf("Secret %s/%s of type %s", secret.Namespace, secret.Name, secret.Type)
	}
	own := certificateIn(t, secret.Data["tls.crt"])
	if len(own.URIs) != 1 || own.URIs[0].String() != "spiffe://cluster.local/ns/shop/sa/edge" {
		t.Errorf("it is for %v", own.URIs)
	}
	if left := time.Until(own.NotAfter); left > 30*24*time.Hour || left < 29*24*time.Hour {
		t.Errorf("it is valid for %s", left)
	}
}

// The clients' authority can sign any name, so that a client must not trust it for a server's.
func TestACertificateIsSignedForClientsAndComesWithWhomToTrust(t *testing.T) {
	clients, servers, told := newAuthorities(t, certificates.Clients), newAuthorities(t, certificates.Servers), newAuthorities(t, certificates.Servers)
	for name, test := range map[string]struct {
		kubeconfig string
		trusted    []byte
	}{
		"as the chart's Job has written beside the clients' authority":        {authoritiesIn(t, clients, &servers, told.Bundle), told.Bundle},
		"as the Secret of the server's authority says, where cert-manager is": {authoritiesIn(t, clients, &servers, nil), servers.Bundle},
		"one authority for both, as versions before have it":                  {authoritiesIn(t, clients, nil, nil), clients.Bundle},
	} {
		t.Run(name, func(t *testing.T) {
			got := say(t, "certificate", "edge-xds", "--kubeconfig", test.kubeconfig)
			if got.failure != nil {
				t.Fatal(got.failure)
			}
			var secret corev1.Secret
			if err := yaml.UnmarshalStrict([]byte(got.out), &secret); err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(clients.Bundle)
			options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			if _, err := certificateIn(t, secret.Data["tls.crt"]).Verify(options); err != nil {
				t.Errorf("the server refuses it: %v", err)
			}
			if !bytes.Equal(secret.Data["ca.crt"], test.trusted) {
				t.Errorf("it comes with %s", secret.Data["ca.crt"])
			}
		})
	}
}

func TestACertificateIsWrittenWhereAsked(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new")
	for range 2 {
		got := say(t, "certificate", "edge", "-n", "bank", "-o", directory, "--kubeconfig", havingAuthority(t))
		if got.failure != nil || got.out != "" {
			t.Fatalf("%v, printed %q", got.failure, got.out)
		}
	}
	for name, mode := range map[string]os.FileMode{"tls.crt": 0o644, "tls.key": 0o600, "ca.crt": 0o644} {
		info, err := os.Stat(filepath.Join(directory, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
	text, err := os.ReadFile(filepath.Join(directory, "tls.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if own := certificateIn(t, text); own.URIs[0].String() != "spiffe://cluster.local/ns/bank/sa/default" {
		t.Errorf("it is for %v", own.URIs)
	}
}

func TestWhatIsWrongWithACertificateComesWithTheRemedy(t *testing.T) {
	forbidden := func(t *testing.T) string {
		return cluster(t, func(string) (int, any) {
			return http.StatusForbidden, failure(metav1.StatusReasonForbidden, http.StatusForbidden, "headgate-xds-ca")
		})
	}
	noRightToTheServers := func(t *testing.T) string {
		clients := newAuthorities(t, certificates.Clients)
		return cluster(t, func(path string) (int, any) {
			if strings.HasSuffix(path, "/headgate-xds-ca") {
				return http.StatusOK, corev1.Secret{
					TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
					Data:     map[string][]byte{"tls.crt": clients.Signer.Certificate, "tls.key": clients.Signer.Key},
				}
			}
			return http.StatusForbidden, failure(metav1.StatusReasonForbidden, http.StatusForbidden, "headgate-xds-server-ca")
		})
	}
	for name, c := range map[string]struct {
		kubeconfig func(*testing.T) string
		arguments  string
		want       []string
	}{
		"no name":                    {havingAuthority, "certificate", []string{"certificate NAME"}},
		"no authority":               {havingAuthority, "certificate edge --headgate-namespace ops", []string{"no Secret headgate-xds-ca in namespace ops", "xds.enabled=true", "--headgate-namespace"}},
		"no right to read it":        {forbidden, "certificate edge", []string{"may not read Secret headgate-system/headgate-xds-ca", "ask"}},
		"no right to whom to trust":  {noRightToTheServers, "certificate edge", []string{"no key server-ca.crt", "may not read Secret headgate-xds-server-ca", "ask"}},
		"a name that is none":        {havingAuthority, "certificate Edge_1", []string{`NAME "Edge_1"`}},
		"a service account with a /": {havingAuthority, "certificate edge --service-account a/../b", []string{`--service-account "a/../b"`}},
		"longer than a year":         {havingAuthority, "certificate edge --days 400", []string{"--days 400", "1 to 365"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := say(t, append(strings.Fields(c.arguments), "--kubeconfig", c.kubeconfig(t))...)
			if got.failure == nil {
				t.Fatalf("it went well: %s", got.out)
			}
			for _, words := range c.want {
				if !strings.Contains(got.failure.Error(), words) {
					t.Errorf("%q does not say %q", got.failure, words)
				}
			}
		})
	}
}
