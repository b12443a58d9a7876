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

	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

func TestSecretsAreMadeOnceAndRenewed(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), Authority: "ca", Server: "server", DNSNames: server.DNS}
	ensure := func(at time.Time) (authority, served *corev1.Secret) {
		t.Helper()
		if err := Ensure(t.Context(), kube, config, at, logr.Discard()); err != nil {
			t.Fatal(err)
		}
		out := []*corev1.Secret{{}, {}}
		for i, name := range []string{config.Authority, config.Server} {
			secret, err := read(t.Context(), kube, config.Namespace, name)
			if err != nil || secret == nil {
				t.Fatalf("Secret %s: %v", name, err)
			}
			out[i] = secret
		}
		return out[0], out[1]
	}
	ca, first := ensure(now)
	if !bytes.Equal(first.Data["ca.crt"], ca.Data["tls.crt"]) || bytes.Contains(first.Data["ca.crt"], []byte("PRIVATE")) {
		t.Error("the server's Secret does not have the authority's certificate alone")
	}
	again, second := ensure(now.Add(time.Hour))
	if again.ResourceVersion != ca.ResourceVersion || second.ResourceVersion != first.ResourceVersion {
		t.Error("good certificates were written again")
	}
	later := now.Add(Lifetime * 3 / 4)
	again, third := ensure(later)
	if again.ResourceVersion != ca.ResourceVersion {
		t.Error("the authority was replaced, which all clients trust")
	}
	if err := pairIn(ca).Stale(pairIn(third), server, later); err != nil {
		t.Errorf("the certificate was not renewed: %v", err)
	}

	end := parse(t, pairIn(ca)).NotAfter
	announced, fourth := ensure(end.Add(-announcement + time.Hour))
	if !bytes.Equal(announced.Data["tls.crt"], ca.Data["tls.crt"]) || len(announced.Data["next.key"]) == 0 {
		t.Error("the next authority was not announced")
	}
	if !bytes.Equal(fourth.Data["ca.crt"], announced.Data["ca.crt"]) || bytes.Count(fourth.Data["ca.crt"], []byte("BEGIN")) != 2 {
		t.Error("the server does not trust both")
	}
	if len(fourth.Data["next.key"]) > 0 {
		t.Error("the server was given the next authority's key")
	}
	followed, fifth := ensure(end.Add(-announcement/2 + time.Hour))
	if !bytes.Equal(followed.Data["tls.crt"], announced.Data["next.crt"]) || len(followed.Data["next.key"]) > 0 {
		t.Error("the announced authority does not sign")
	}
	if err := parse(t, pairIn(fifth)).CheckSignatureFrom(parse(t, pairIn(followed))); err != nil {
		t.Errorf("the server's certificate is not that of the new authority: %v", err)
	}
}

func TestAnAuthorityOfSomebodyElseIsUsedAsItIs(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), Authority: "ca", Server: "server", DNSNames: server.DNS}
	own := authority(t, now)
	theirs := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.Authority},
		Type:       corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": own.Certificate, "tls.key": own.Key},
	}
	if err := kube.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(t.Context(), kube, config, now.Add(AuthorityLifetime-Lifetime), logr.Discard()); err != nil {
		t.Fatal(err)
	}
	left, err := read(t.Context(), kube, config.Namespace, config.Authority)
	if err != nil || left.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("it was changed: %v, %v", left, err)
	}
	served, err := read(t.Context(), kube, config.Namespace, config.Server)
	if err != nil || served == nil || !bytes.Equal(served.Data["ca.crt"], own.Certificate) {
		t.Errorf("the server does not trust it: %v", err)
	}
}

func TestWhatOthersMadeIsLeftAlone(t *testing.T) {
	kube := apiserver.Client(t)
	config := Config{Namespace: apiserver.Namespace(t, kube), Authority: "ca", Server: "server", DNSNames: server.DNS}
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
