package main

import (
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

// havingAuthority is a cluster with the Secret that the chart's Job makes.
func havingAuthority(t *testing.T) (kubeconfig string) {
	t.Helper()
	authorities, err := certificates.Authorities{}.Renewed(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cluster(t, func(path string) (int, any) {
		if path != "/api/v1/namespaces/headgate-system/secrets/headgate-xds-ca" {
			return http.StatusNotFound, failure(metav1.StatusReasonNotFound, http.StatusNotFound, "headgate-xds-ca")
		}
		return http.StatusOK, corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "headgate-system", Name: "headgate-xds-ca"},
			Data: map[string][]byte{
				"tls.crt": authorities.Signer.Certificate, "tls.key": authorities.Signer.Key, "ca.crt": authorities.Bundle,
			},
		}
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
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	if _, err := own.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
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
	for name, c := range map[string]struct {
		kubeconfig func(*testing.T) string
		arguments  string
		want       []string
	}{
		"no name":                    {havingAuthority, "certificate", []string{"certificate NAME"}},
		"no authority":               {havingAuthority, "certificate edge --headgate-namespace ops", []string{"no Secret headgate-xds-ca in namespace ops", "xds.enabled=true", "--headgate-namespace"}},
		"no right to read it":        {forbidden, "certificate edge", []string{"may not read Secret headgate-system/headgate-xds-ca", "ask"}},
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
