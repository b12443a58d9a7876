package certificates

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
)

// member is a server or a client: the certificate that it was issued, and the authorities that it was told to trust with it.
type member struct {
	certificate *x509.Certificate
	bundle      []byte
}

func join(t *testing.T, a Authorities, lifetime time.Duration, names Names, at time.Time) member {
	t.Helper()
	issued, err := a.Signer.IssueFor(lifetime, names, at)
	if err != nil {
		t.Fatal(err)
	}
	return member{parse(t, issued), a.Bundle}
}

// trusts says whether a member accepts the other's certificate for a use.
func (m member) trusts(other member, use x509.ExtKeyUsage, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.bundle)
	_, err := other.certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}})
	return err
}

func renewed(t *testing.T, a Authorities, at time.Time) Authorities {
	t.Helper()
	out, err := a.Renewed(Clients, at)
	if err != nil {
		t.Fatalf("%s: %v", at.Format(time.DateOnly), err)
	}
	return out
}

// installation is what Ensure keeps in Secrets, and the clients that have been given certificates.
type installation struct {
	Separation

	server  member
	clients []member
}

// step does what Ensure does, and lets a client have a certificate.
func (i *installation) step(t *testing.T, at time.Time, lifetime time.Duration) {
	t.Helper()
	i.Clients = renewed(t, i.Clients, at)
	var err error
	if i.Servers, err = i.Servers.Renewed(Servers, at); err != nil {
		t.Fatal(err)
	}
	if i.Announced.IsZero() {
		i.Announced = at
	}
	signer, trusted, err := i.Signers(at)
	if err != nil {
		t.Fatal(err)
	}
	i.Servers.Bundle = trusted
	if signer.Stale(i.Served, server, at) != nil {
		i.Served = issue(t, signer, server, at)
		i.server.certificate = parse(t, i.Served)
	}
	i.server.bundle = i.Clients.Bundle
	client := join(t, i.Clients, lifetime, Names{URI: "spiffe://cluster.local/ns/shop/sa/envoy"}, at)
	client.bundle = trusted
	i.clients = append(i.clients, client)
	i.meet(t, at)
}

// meet has the clients whose certificates are valid connect to the server.
func (i *installation) meet(t *testing.T, at time.Time) {
	t.Helper()
	valid := i.clients[:0]
	for _, client := range i.clients {
		if !at.Before(client.certificate.NotAfter) {
			continue
		}
		valid = append(valid, client)
		if err := client.trusts(i.server, x509.ExtKeyUsageServerAuth, at); err != nil {
			t.Fatalf("%s: a client of %s does not trust the server: %v", at.Format(time.DateOnly), client.certificate.NotBefore.Format(time.DateOnly), err)
		}
		if err := i.server.trusts(client, x509.ExtKeyUsageClientAuth, at); err != nil {
			t.Fatalf("%s: the server does not trust a client of %s: %v", at.Format(time.DateOnly), client.certificate.NotBefore.Format(time.DateOnly), err)
		}
	}
	i.clients = valid
}

const week = 7 * 24 * time.Hour

// lifetimes are those of clients' certificates.
var lifetimes = []time.Duration{Lifetime, 13 * week, week}

// Thirty years: whenever a client got its certificate, and however long it keeps it, it and the server trust each other as
// long as it is valid.
func TestClientsAndServerTrustEachOtherWhileAuthoritiesFollowEachOther(t *testing.T) {
	var all installation
	signers := map[Side][]*x509.Certificate{}
	for at := now; at.Before(now.Add(3 * AuthorityLifetime)); at = at.Add(2 * week) {
		all.step(t, at, lifetimes[int(at.Sub(now)/(2*week))%3])
		for side, a := range map[Side]Authorities{Clients: all.Clients, Servers: all.Servers} {
			if signer := parse(t, a.Signer); len(signers[side]) == 0 || !signers[side][len(signers[side])-1].Equal(signer) {
				signers[side] = append(signers[side], signer)
			}
			if n := bytes.Count(a.Bundle, []byte("BEGIN")); n > 2 {
				t.Fatalf("%s: %d authorities of the %s are trusted", at.Format(time.DateOnly), n, side)
			}
		}
	}
	for side, all := range signers {
		if len(all) < 3 || len(all) > 5 {
			t.Errorf("%d authorities of the %s in thirty years", len(all), side)
		}
	}
}

func TestAuthoritiesFollowEachOther(t *testing.T) {
	a := renewed(t, Authorities{}, now)
	signer := parse(t, a.Signer)
	end := signer.NotAfter
	for _, step := range []struct {
		name              string
		at                time.Time
		follower, another bool
		trusted           int
	}{
		{"new", now.Add(time.Hour), false, false, 1},
		{"before the announcement", end.Add(-announcement - time.Hour), false, false, 1},
		{"announced", end.Add(-announcement), true, false, 2},
		{"until half-way", end.Add(-announcement/2 - time.Hour), true, false, 2},
		{"half-way", end.Add(-announcement / 2), false, true, 2},
		{"the old one ends", end, false, true, 1},
	} {
		a = renewed(t, a, step.at)
		if got := !a.Next.empty(); got != step.follower {
			t.Errorf("%s: another one is announced: %t", step.name, got)
		}
		if got := !parse(t, a.Signer).Equal(signer); got != step.another {
			t.Errorf("%s: another one signs: %t", step.name, got)
		}
		if got := bytes.Count(a.Bundle, []byte("BEGIN")); got != step.trusted {
			t.Errorf("%s: %d are trusted, want %d", step.name, got, step.trusted)
		}
	}
}

// Whoever looks too late, because nobody ran the job for years, still announces before anything else.
func TestALateAnnouncementIsAnAnnouncement(t *testing.T) {
	a := renewed(t, Authorities{}, now)
	signer := parse(t, a.Signer)
	late := signer.NotAfter.Add(-30 * 24 * time.Hour)
	a = renewed(t, a, late)
	if !parse(t, a.Signer).Equal(signer) || a.Next.empty() {
		t.Error("it signs before it was announced")
	}
	if a = renewed(t, a, late.Add(15*24*time.Hour)); parse(t, a.Signer).Equal(signer) {
		t.Error("half-way between the announcement and the end the old one still signs")
	}
	expired := renewed(t, Authorities{}, now)
	if renewedLate := renewed(t, expired, now.Add(AuthorityLifetime)); parse(t, renewedLate.Signer).Equal(parse(t, expired.Signer)) {
		t.Error("an authority that has expired still signs")
	}
}

func TestWhatIsNoAuthorityIsNotReplaced(t *testing.T) {
	a := renewed(t, Authorities{}, now)
	for name, broken := range map[string]Authorities{
		"garbage":                          {Signer: Pair{[]byte("x"), []byte("y")}},
		"a certificate that it has signed": {Signer: issue(t, a.Signer, server, now)},
		"a bundle that cannot be read":     {Signer: a.Signer, Bundle: encode("CERTIFICATE", []byte("x"))},
	} {
		if got, err := broken.Renewed(Clients, now); err == nil {
			t.Errorf("%s: it became %s", name, got.Signer.Certificate)
		}
	}
}
