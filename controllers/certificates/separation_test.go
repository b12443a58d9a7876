package certificates

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

// Whenever a client got its certificate, before the separation, during or after it: the two trust each other as long as it is valid.
func TestNobodyIsLockedOutWhileTheAuthoritiesAreSeparated(t *testing.T) {
	for name, test := range map[string]struct {
		// age of the authority when the separation begins, and of the server's certificate.
		age, served time.Duration
	}{
		"both are new": {week, week},
		"the server's certificate is about to end":       {week, Lifetime * 3 / 4},
		"the next clients' authority is being announced": {AuthorityLifetime - announcement + week, week},
		"the next clients' authority signs meanwhile":    {AuthorityLifetime - announcement/2 - 8*week, week},
	} {
		t.Run(name, func(t *testing.T) {
			shared := authority(t, now.Add(-test.age))
			all := installation{Separation: Separation{Period: Lifetime}}
			all.Clients = renewed(t, Authorities{Signer: shared, Bundle: shared.Certificate}, now.Add(-week))
			all.Served = issue(t, all.Clients.Signer, server, now.Add(-min(test.served, test.age)))
			all.server = member{parse(t, all.Served), all.Clients.Bundle}
			for _, lifetime := range lifetimes { // on the last day before
				client := join(t, all.Clients, lifetime, Names{URI: "spiffe://cluster.local/ns/shop/sa/envoy"}, now)
				all.clients = append(all.clients, client)
			}
			for at := now; at.Before(now.Add(3 * Lifetime)); at = at.Add(2 * week) {
				all.step(t, at, lifetimes[int(at.Sub(now)/(2*week))%3])
			}
			forged := member{certificate: parse(t, issue(t, all.Clients.Signer, server, now.Add(3*Lifetime)))}
			for _, client := range all.clients {
				if client.trusts(forged, x509.ExtKeyUsageServerAuth, now.Add(3*Lifetime)) == nil {
					t.Fatalf("a client of %s takes for the server whom the clients' authority has signed", client.certificate.NotBefore)
				}
			}
		})
	}
}

func TestSigners(t *testing.T) {
	shared, other := authority(t, now), authority(t, now)
	own, err := Authorities{}.Renewed(Servers, now)
	if err != nil {
		t.Fatal(err)
	}
	clients := Authorities{Signer: shared, Bundle: shared.Certificate}
	told := Authorities{Signer: own.Signer, Bundle: append(bytes.Clone(own.Bundle), shared.Certificate...)}
	for name, test := range map[string]struct {
		servers Authorities
		served  Pair
		at      time.Time
		signer  Pair
		trusted int
	}{
		"a new installation":                                {own, Pair{}, now, own.Signer, 1},
		"separate for long":                                 {own, issue(t, own.Signer, server, now), now, own.Signer, 1},
		"a certificate of somebody else's":                  {own, issue(t, other, server, now), now, own.Signer, 1},
		"a certificate that cannot be read":                 {own, Pair{Certificate: []byte("x")}, now, own.Signer, 1},
		"shared, announced now":                             {own, issue(t, shared, server, now), now, shared, 2},
		"shared, at the end of the period":                  {told, issue(t, shared, server, now), now.Add(Lifetime), own.Signer, 2},
		"separated a while ago":                             {told, issue(t, own.Signer, server, now), now.Add(Lifetime + week), own.Signer, 1},
		"begun, and the server's certificate has been lost": {told, Pair{}, now.Add(week), shared, 2},
	} {
		t.Run(name, func(t *testing.T) {
			signer, trusted, err := Separation{Clients: clients, Servers: test.servers, Served: test.served, Announced: now, Period: Lifetime}.Signers(test.at)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(signer.Certificate, test.signer.Certificate) {
				t.Error("the wrong authority signs")
			}
			if got := strings.Count(string(trusted), "BEGIN"); got != test.trusted || !bytes.HasPrefix(trusted, own.Signer.Certificate) {
				t.Errorf("clients are told of %d, want %d with the server's own first", got, test.trusted)
			}
		})
	}
}
