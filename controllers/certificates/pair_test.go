package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

var (
	now    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	server = Names{DNS: []string{"headgate-xds.headgate-system.svc"}}
)

func authority(t *testing.T, at time.Time) Pair {
	t.Helper()
	a, err := NewAuthority("test", at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a Pair, names Names, at time.Time) Pair {
	t.Helper()
	p, err := a.Issue(names, at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, p Pair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(p.Certificate)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestIssuedCertificatesAreTrustedForTheirUse(t *testing.T) {
	a := authority(t, now)
	roots := x509.NewCertPool()
	roots.AddCert(parse(t, a))
	for name, test := range map[string]struct {
		names  Names
		server bool
	}{
		"a server, which other replicas ask": {server, true},
		"a client":                           {Names{URI: "spiffe://cluster.local/ns/shop/sa/envoy"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			certificate := parse(t, issue(t, a, test.names, now))
			verify := func(use x509.ExtKeyUsage, dns string) error {
				_, err := certificate.Verify(x509.VerifyOptions{
					Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}, DNSName: dns,
				})
				return err
			}
			dns := ""
			if len(test.names.DNS) > 0 {
				dns = test.names.DNS[0]
			}
			if err := verify(x509.ExtKeyUsageClientAuth, dns); err != nil {
				t.Errorf("as a client: %v", err)
			}
			if err := verify(x509.ExtKeyUsageServerAuth, dns); (err == nil) != test.server {
				t.Errorf("as a server: %v", err)
			}
			if test.names.URI != "" && certificate.URIs[0].String() != test.names.URI {
				t.Errorf("it is for %v", certificate.URIs)
			}
		})
	}
}

func TestCertificatesAreRenewedInTime(t *testing.T) {
	a := authority(t, now)
	good := issue(t, a, server, now)
	for name, test := range map[string]struct {
		issued Pair
		names  Names
		at     time.Time
		why    string
	}{
		"new":                             {good, server, now, ""},
		"with half of its life left":      {good, server, now.Add(Lifetime / 2), ""},
		"with a third of its life left":   {good, server, now.Add(Lifetime * 2 / 3).Add(time.Hour), "expires on"},
		"expired":                         {good, server, now.Add(Lifetime + time.Hour), "expires on"},
		"for another name":                {good, Names{DNS: []string{"elsewhere"}}, now, "is to be for"},
		"of another authority":            {issue(t, authority(t, now), server, now), server, now, "another authority"},
		"with a key that is not its own":  {Pair{good.Certificate, a.Key}, server, now, "private key"},
		"garbage":                         {Pair{[]byte("x"), []byte("y")}, server, now, "PEM"},
		"as long as its authority's life": {issue(t, a, server, now.Add(AuthorityLifetime-time.Hour)), server, now.Add(AuthorityLifetime - time.Minute), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := a.Stale(test.issued, test.names, test.at)
			if test.why == "" && err != nil {
				t.Errorf("it is to be renewed: %v", err)
			}
			if test.why != "" && (err == nil || !strings.Contains(err.Error(), test.why)) {
				t.Errorf("it is to be renewed because %v, want %q", err, test.why)
			}
		})
	}
}

func TestAnAuthoritySignsForItsOwnSide(t *testing.T) {
	for side, test := range map[Side]struct{ good, bad x509.ExtKeyUsage }{
		Clients: {x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		Servers: {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	} {
		a, err := Authorities{}.Renewed(side, now)
		if err != nil {
			t.Fatal(err)
		}
		m := member{bundle: a.Bundle}
		other := member{certificate: parse(t, issue(t, a.Signer, server, now))}
		if err := m.trusts(other, test.good, now); err != nil {
			t.Errorf("%s: %v", side, err)
		}
		if m.trusts(other, test.bad, now) == nil {
			t.Errorf("%s: what it signs is good for the other side", side)
		}
	}
}

func TestACertificateDoesNotOutliveItsAuthority(t *testing.T) {
	a := authority(t, now)
	late := parse(t, issue(t, a, server, now.Add(AuthorityLifetime-24*time.Hour)))
	if end := parse(t, a).NotAfter; late.NotAfter.After(end) {
		t.Errorf("it is valid until %s, its authority until %s", late.NotAfter, end)
	}
}
