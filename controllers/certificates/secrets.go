package certificates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Keys of the Secrets beside those of a pair.
const (
	// keyAuthority holds the certificates of the authorities that are trusted, under cert-manager's name for it.
	keyAuthority = "ca.crt"
	// KeyServerAuthority holds the certificates of the server's authorities beside the clients' authority: who issues a certificate for a
	// client gives them to it, and needs no right to the Secret with the key of the server's.
	KeyServerAuthority = "server-ca.crt"
	// keyNext and keyNextKey hold the authority that is to sign next.
	keyNext    = "next.crt"
	keyNextKey = "next.key"
)

// AnnotationAnnounced of the Secret with the server's authority says that clients are to be told of it, and that the clients' authority signs
// the server's certificate still. The chart has cert-manager write it.
const AnnotationAnnounced = "headgate.dev/announced"

// Config says which Secrets there are to be.
type Config struct {
	Namespace string
	// ClientAuthority and ServerAuthority are the names of the Secrets with the certificates and keys of the authorities for clients and
	// for the server, and those of the ones that follow them.
	ClientAuthority, ServerAuthority string
	// Server is the name of the Secret with the server's certificate and key, and the certificates of the clients' authorities.
	Server string
	// DNSNames are those of the server.
	DNSNames []string
	// SeparateAfter is how long a server that has a certificate of the clients' authority goes on with it ([Separation]).
	SeparateAfter time.Duration
}

// Ensure makes or renews the Secrets. It writes nothing when all are good. A Secret that it did not make is used as it
// is if it is good, and otherwise left alone: an error says so.
func Ensure(ctx context.Context, kube client.Client, config Config, now time.Time, log logr.Logger) error {
	clients, err := readAuthority(ctx, kube, config, config.ClientAuthority, Clients, now)
	if err != nil {
		return err
	}
	servers, err := readAuthority(ctx, kube, config, config.ServerAuthority, Servers, now)
	if err != nil {
		return err
	}
	served, err := read(ctx, kube, config.Namespace, config.Server)
	if err != nil {
		return fmt.Errorf("the certificate in Secret %s/%s: %w", config.Namespace, config.Server, err)
	}
	separation := Separation{
		Clients: clients.want, Servers: servers.want, Served: pairIn(served), Announced: servers.announced(now), Period: config.SeparateAfter,
	}
	signer, trusted, err := separation.Signers(now)
	if err != nil {
		return err
	}
	if servers.secret == nil && bytes.Equal(signer.Certificate, clients.want.Signer.Certificate) {
		log.Info("announced an authority of the server's own: clients take it up when they renew their certificates",
			"secret", config.ServerAuthority, "signs", separation.Announced.Add(separation.Period))
	}
	servers.want.Bundle, clients.serverBundle = trusted, trusted
	// The server's certificate comes last: by then clients can be told of who signs it.
	for _, kept := range []keeping{servers, clients} {
		if err := kept.write(ctx, kube, log); err != nil {
			return fmt.Errorf("the authority in Secret %s/%s: %w", config.Namespace, kept.name, err)
		}
	}
	if err := ensureServer(ctx, kube, config, served, signer, clients.want.Bundle, now, log); err != nil {
		return fmt.Errorf("the certificate in Secret %s/%s: %w", config.Namespace, config.Server, err)
	}
	return nil
}

// keeping is the authorities of a side, as they are in a Secret and as they are to be.
type keeping struct {
	namespace, name string
	secret          *corev1.Secret // nil: there is none
	have, want      Authorities
	// serverBundle is what clients are told to trust; nil: nobody is told here.
	serverBundle []byte
}

func readAuthority(ctx context.Context, kube client.Client, config Config, name string, side Side, now time.Time) (keeping, error) {
	a := keeping{namespace: config.Namespace, name: name}
	where := fmt.Sprintf("the authority in Secret %s/%s", a.namespace, name)
	var err error
	if a.secret, err = read(ctx, kube, a.namespace, name); err != nil {
		return a, fmt.Errorf("%s: %w", where, err)
	}
	a.have = AuthoritiesIn(a.secret)
	if a.want, err = a.have.Renewed(side, now); err != nil {
		// To replace it would lock out all clients: somebody has to look first.
		return a, fmt.Errorf("%s: %w: correct the Secret, or delete it to have a new one made, which all clients then have to trust", where, err)
	}
	if a.secret != nil && !ours(a.secret) && bytes.Equal(a.have.Signer.Certificate, a.want.Signer.Certificate) {
		// Whoever made it says what follows it.
		if a.want, err = (Authorities{Signer: a.have.Signer, Bundle: a.have.Bundle}).trusting(now, a.have.Signer); err != nil {
			return a, fmt.Errorf("%s: %w", where, err)
		}
	}
	return a, nil
}

// announced is when the Secret was made: before that nobody was told of the authority.
func (a keeping) announced(now time.Time) time.Time {
	if a.secret == nil {
		return now
	}
	made := a.secret.CreationTimestamp.Time
	if signer, _, err := a.have.Signer.parse(); err == nil {
		if since := signer.NotBefore.Add(backdate); since.After(made) {
			return since
		}
	}
	return made
}

// write writes what has changed. What somebody else has made is left as it is, if it can sign.
func (a keeping) write(ctx context.Context, kube client.Client, log logr.Logger) error {
	sameSigner := bytes.Equal(a.have.Signer.Certificate, a.want.Signer.Certificate)
	switch {
	case a.secret != nil && reflect.DeepEqual(a.have, a.want) && (a.serverBundle == nil || bytes.Equal(a.secret.Data[KeyServerAuthority], a.serverBundle)):
		return nil
	case a.secret != nil && !ours(a.secret) && sameSigner:
		return nil
	}
	if !bytes.Equal(a.have.Next.Certificate, a.want.Next.Certificate) && !a.want.Next.empty() {
		log.Info("announced the next authority", "secret", a.name)
	}
	if !sameSigner {
		log.Info("another authority signs", "secret", a.name)
	}
	data := a.want.data()
	if a.serverBundle != nil {
		data[KeyServerAuthority] = a.serverBundle
	}
	return write(ctx, kube, a.secret, a.namespace, a.name, data)
}

// ensureServer has the server hold a good certificate, and trust the clients' authorities.
func ensureServer(
	ctx context.Context, kube client.Client, config Config, secret *corev1.Secret, signer Pair, clients []byte, now time.Time, log logr.Logger,
) error {
	names := Names{DNS: config.DNSNames}
	issued, why := pairIn(secret), errors.New("there is none")
	if secret != nil {
		why = signer.Stale(issued, names, now)
	}
	if why != nil {
		var err error
		if issued, err = signer.Issue(names, now); err != nil {
			return err
		}
		log.Info("issued the server's certificate", "secret", config.Server, "why", why.Error())
	} else if bytes.Equal(secret.Data[keyAuthority], clients) {
		return nil
	}
	data := dataOf(issued)
	data[keyAuthority] = clients
	return write(ctx, kube, secret, config.Namespace, config.Server, data)
}

func read(ctx context.Context, kube client.Client, namespace, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := kube.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return &secret, nil
}

func ours(secret *corev1.Secret) bool {
	return secret.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
}

func pairIn(secret *corev1.Secret) Pair {
	if secret == nil {
		return Pair{}
	}
	return Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
}

func dataOf(p Pair) map[string][]byte {
	return map[string][]byte{corev1.TLSCertKey: p.Certificate, corev1.TLSPrivateKeyKey: p.Key}
}

// Trusted are the certificates that clients are to trust, in PEM, by the Secrets with the clients' and the server's authorities. Without the
// second one there is one authority for both sides.
func Trusted(clients, servers *corev1.Secret) ([]byte, error) {
	told := AuthoritiesIn(clients).everything()
	if servers != nil {
		if own := AuthoritiesIn(servers).everything(); servers.Annotations[AnnotationAnnounced] != "" {
			told = append(own, told...)
		} else {
			told = own
		}
	}
	all, err := certificatesOf(told...)
	return all.pem(), err
}

// everything is all certificates of the authorities.
func (a Authorities) everything() [][]byte { return [][]byte{a.Signer.Certificate, a.Bundle} }

// AuthoritiesIn are those in the Secret that Ensure makes of them; nil: none.
func AuthoritiesIn(secret *corev1.Secret) Authorities {
	if secret == nil {
		return Authorities{}
	}
	return Authorities{
		Signer: pairIn(secret), Bundle: secret.Data[keyAuthority],
		Next: Pair{Certificate: secret.Data[keyNext], Key: secret.Data[keyNextKey]},
	}
}

func (a Authorities) data() map[string][]byte {
	out := dataOf(a.Signer)
	out[keyAuthority] = a.Bundle
	if !a.Next.empty() {
		out[keyNext], out[keyNextKey] = a.Next.Certificate, a.Next.Key
	}
	return out
}

// write makes a Secret, or changes the one that was read: the resource version is a precondition, so that of
// two who run at once one fails, and finds the other's when it is run again.
func write(ctx context.Context, kube client.Client, secret *corev1.Secret, namespace, name string, data map[string][]byte) error {
	if secret == nil {
		err := kube.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			},
			Type: corev1.SecretTypeTLS, Data: data,
		})
		if err != nil {
			return fmt.Errorf("create: %w", err)
		}
		return nil
	}
	if !ours(secret) {
		return errors.New("it was not made by Headgate and has to be renewed by whoever made it")
	}
	for _, key := range []string{keyNext, keyNextKey} {
		delete(secret.Data, key)
	}
	maps.Copy(secret.Data, data)
	if err := kube.Update(ctx, secret); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}
