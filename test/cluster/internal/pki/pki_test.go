package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestIssuedCertificatesAreGoodForTheirNames(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	authority, err := NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(Subject{
		CommonName: "system:node:a", Groups: []string{"system:nodes"},
		DNSNames: []string{"kubernetes.default.svc"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := both.Leaf
	if certificate.Subject.CommonName != "system:node:a" || len(certificate.Subject.Organization) != 1 {
		t.Errorf("the subject is %s", certificate.Subject)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.Certificate)
	for name, test := range map[string]struct {
		host  string
		at    time.Time
		valid bool
	}{
		"a name":                       {"kubernetes.default.svc", now, true},
		"an address":                   {"127.0.0.1", now, true},
		"a clock set a little back":    {"127.0.0.1", now.Add(-time.Minute), true},
		"another name":                 {"example.test", now, false},
		"a clock set a long time back": {"127.0.0.1", now.Add(-24 * time.Hour), false},
	} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: test.host, CurrentTime: test.at, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != test.valid {
				t.Errorf("%s: got %v, want it valid: %v", name, err, test.valid)
			}
		}
	}
}

func TestKubeconfig(t *testing.T) {
	got := string(Kubeconfig("demo", "https://127.0.0.1:1234", []byte("ca"), Pair{[]byte("cert"), []byte("key")}))
	for _, want := range []string{`server: "https://127.0.0.1:1234"`, "certificate-authority-data: Y2E=", "client-certificate-data: Y2VydA==", "client-key-data: a2V5", "current-context: demo"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
