package certificates

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// secrets are those that Ensure makes.
type secrets struct{ clients, servers, served *corev1.Secret }

func (s secrets) all() []*corev1.Secret { return []*corev1.Secret{s.clients, s.servers, s.served} }

func ensured(t *testing.T, kube client.Client, config Config, at time.Time) secrets {
	t.Helper()
	if err := Ensure(t.Context(), kube, config, at, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	var out [3]*corev1.Secret
	for i, name := range []string{config.ClientAuthority, config.ServerAuthority, config.Server} {
		secret, err := read(t.Context(), kube, config.Namespace, name)
		if err != nil || secret == nil {
			t.Fatalf("Secret %s: %v", name, err)
		}
		out[i] = secret
	}
	return secrets{out[0], out[1], out[2]}
}

func TestSecretsAreMadeOnceAndRenewed(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), ClientAuthority: "ca", ServerAuthority: "server-ca", Server: "server", DNSNames: server.DNS, SeparateAfter: Lifetime}
	first := ensured(t, kube, config, now)
	if !bytes.Equal(first.served.Data["ca.crt"], first.clients.Data["tls.crt"]) || bytes.Contains(first.served.Data["ca.crt"], []byte("PRIVATE")) {
		t.Error("the server's Secret does not have the certificate of the clients' authority alone")
	}
	if !bytes.Equal(first.clients.Data[KeyServerAuthority], first.servers.Data["tls.crt"]) {
		t.Error("clients are not told of the server's authority alone")
	}
	if err := parse(t, pairIn(first.served)).CheckSignatureFrom(parse(t, pairIn(first.servers))); err != nil {
		t.Errorf("the server's authority has not signed its certificate: %v", err)
	}
	again := ensured(t, kube, config, now.Add(time.Hour))
	for i, secret := range again.all() {
		if secret.ResourceVersion != first.all()[i].ResourceVersion {
			t.Errorf("Secret %s was written again", secret.Name)
		}
	}
	later := now.Add(Lifetime * 3 / 4)
	again = ensured(t, kube, config, later)
	if again.clients.ResourceVersion != first.clients.ResourceVersion || again.servers.ResourceVersion != first.servers.ResourceVersion {
		t.Error("an authority was replaced, which others trust")
	}
	if err := pairIn(first.servers).Stale(pairIn(again.served), server, later); err != nil {
		t.Errorf("the certificate was not renewed: %v", err)
	}

	end := parse(t, pairIn(first.clients)).NotAfter
	announced := ensured(t, kube, config, end.Add(-announcement+time.Hour))
	for trusted, of := range map[*[]byte]*corev1.Secret{
		ptr.To(announced.served.Data["ca.crt"]): announced.clients, ptr.To(announced.clients.Data[KeyServerAuthority]): announced.servers,
	} {
		if len(of.Data["next.key"]) == 0 {
			t.Errorf("%s: the next authority was not announced", of.Name)
		}
		if !bytes.Equal(*trusted, of.Data["ca.crt"]) || bytes.Count(*trusted, []byte("BEGIN")) != 2 {
			t.Errorf("%s: the other side does not trust both", of.Name)
		}
	}
	if len(announced.served.Data["next.key"]) > 0 {
		t.Error("the server was given the next authority's key")
	}
	followed := ensured(t, kube, config, end.Add(-announcement/2+time.Hour))
	if !bytes.Equal(followed.clients.Data["tls.crt"], announced.clients.Data["next.crt"]) || len(followed.clients.Data["next.key"]) > 0 {
		t.Error("the announced authority does not sign")
	}
	if err := parse(t, pairIn(followed.served)).CheckSignatureFrom(parse(t, pairIn(followed.servers))); err != nil {
		t.Errorf("the server's certificate is not that of the new authority: %v", err)
	}
}

func TestAnAuthorityOfSomebodyElseIsUsedAsItIs(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), ClientAuthority: "ca", ServerAuthority: "server-ca", Server: "server", DNSNames: server.DNS, SeparateAfter: Lifetime}
	own := authority(t, now)
	theirs := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.ClientAuthority},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": own.Certificate, "tls.key": own.Key},
	}
	if err := kube.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	got := ensured(t, kube, config, now.Add(AuthorityLifetime-Lifetime))
	if got.clients.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("it was changed: %v", got.clients)
	}
	if !bytes.Equal(got.served.Data["ca.crt"], own.Certificate) {
		t.Error("the server does not trust it")
	}
}

func TestWhatOthersMadeIsLeftAlone(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), ClientAuthority: "ca", ServerAuthority: "server-ca", Server: "server", DNSNames: server.DNS, SeparateAfter: Lifetime}
	theirs := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.Server},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")},
	}
	if err := kube.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	err := Ensure(t.Context(), kube, config, now, logr.Discard())
	if err == nil || !strings.Contains(err.Error(), "not made by Headgate") {
		t.Errorf("it ended with %v", err)
	}
	secret, err := read(t.Context(), kube, config.Namespace, config.Server)
	if err != nil || string(secret.Data["tls.crt"]) != "x" {
		t.Errorf("the Secret was changed: %v, %v", secret, err)
	}
}

func TestClientsAreToldWhatTheSecretsSay(t *testing.T) {
	clients, servers, next := authority(t, now), authority(t, now), authority(t, now)
	secret := func(annotations map[string]string, a Pair, bundle []byte) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: annotations},
			Data:       map[string][]byte{"tls.crt": a.Certificate, "tls.key": a.Key, "ca.crt": bundle},
		}
	}
	announced := map[string]string{AnnotationAnnounced: "true"}
	for name, test := range map[string]struct {
		servers *corev1.Secret
		want    [][]byte
	}{
		"one authority for both":    {nil, [][]byte{clients.Certificate}},
		"one each":                  {secret(nil, servers, servers.Certificate), [][]byte{servers.Certificate}},
		"without a bundle":          {secret(nil, servers, nil), [][]byte{servers.Certificate}},
		"with one that is to come":  {secret(nil, servers, append(bytes.Clone(servers.Certificate), next.Certificate...)), [][]byte{servers.Certificate, next.Certificate}},
		"the server's is announced": {secret(announced, servers, servers.Certificate), [][]byte{servers.Certificate, clients.Certificate}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Trusted(secret(nil, clients, clients.Certificate), test.servers)
			if err != nil || !bytes.Equal(got, bytes.Join(test.want, nil)) {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

// oneAuthority makes the Secrets of a version that had one authority for both sides.
func oneAuthority(t *testing.T, kube client.Client, config Config, at time.Time) (shared Pair) {
	t.Helper()
	shared = authority(t, at)
	served := issue(t, shared, server, at)
	for name, p := range map[string]Pair{config.ClientAuthority: shared, config.Server: served} {
		err := kube.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: config.Namespace, Name: name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			},
			Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": p.Certificate, "tls.key": p.Key, "ca.crt": shared.Certificate},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return shared
}

// The period counts from when the Secret was made, which the API server's clock says.
func TestOneAuthorityForBothSidesBecomesTwo(t *testing.T) {
	start := time.Now()
	for name, test := range map[string]struct {
		period time.Duration
		steps  []separating
	}{
		"after a year": {Lifetime, []separating{
			{after: 0, tells: 2},
			{after: Lifetime - week, tells: 2},
			{after: Lifetime + time.Hour, own: true, tells: 2},
			{after: Lifetime + week, own: true, tells: 1},
			{after: 2 * Lifetime, own: true, tells: 1},
		}},
		"after a year, with the server's Secret lost meanwhile": {Lifetime, []separating{
			{after: 0, tells: 2},
			{after: week, tells: 2, lost: true},
			{after: 2 * week, tells: 2},
			{after: Lifetime + time.Hour, own: true, tells: 2},
			{after: Lifetime + week, own: true, tells: 1},
		}},
		"at once": {0, []separating{
			{after: time.Minute, own: true, tells: 2},
			{after: week, own: true, tells: 1},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			kube := apiserver.Client(t)
			config := Config{Namespace: apiserver.Namespace(t, kube), ClientAuthority: "ca", ServerAuthority: "server-ca", Server: "server", DNSNames: server.DNS, SeparateAfter: test.period}
			shared := oneAuthority(t, kube, config, start.Add(-week))
			for _, step := range test.steps {
				step.look(t, kube, config, shared, start)
			}
		})
	}
}

// separating is a moment of the change from one authority to two.
type separating struct {
	after time.Duration
	lost  bool // the server's Secret has been deleted
	own   bool // the server's own authority has signed its certificate
	tells int  // how many authorities clients are told to trust
}

func (s separating) look(t *testing.T, kube client.Client, config Config, shared Pair, start time.Time) {
	t.Helper()
	if s.lost {
		lost := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.Server}}
		if err := kube.Delete(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
	}
	got := ensured(t, kube, config, start.Add(s.after))
	signer := shared
	if s.own {
		signer = pairIn(got.servers)
	}
	if err := parse(t, pairIn(got.served)).CheckSignatureFrom(parse(t, signer)); err != nil {
		t.Errorf("after %s: the server's certificate is not that of the right authority: %v", s.after, err)
	}
	if !bytes.Equal(got.clients.Data["tls.crt"], shared.Certificate) || !bytes.Equal(got.served.Data["ca.crt"], shared.Certificate) {
		t.Errorf("after %s: the authority that there was is not the clients'", s.after)
	}
	told := got.clients.Data[KeyServerAuthority]
	if n := bytes.Count(told, []byte("BEGIN")); n != s.tells || !bytes.HasPrefix(told, got.servers.Data["tls.crt"]) {
		t.Errorf("after %s: clients are told of %d authorities, want %d", s.after, n, s.tells)
	}
}
