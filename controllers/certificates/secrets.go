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
	// keyNext and keyNextKey hold the authority that is to sign next.
	keyNext    = "next.crt"
	keyNextKey = "next.key"
)

// Config says which Secrets there are to be.
type Config struct {
	Namespace string
	// Authority is the name of the Secret with the authority's certificate and key, and those of the one that follows it.
	Authority string
	// Server is the name of the Secret with the server's certificate and key, and the certificates of the authorities.
	Server string
	// DNSNames are those of the server.
	DNSNames []string
}

// Ensure makes or renews the Secrets. It writes nothing when both are good. A Secret that it did not make is used as it
// is if it is good, and otherwise left alone: an error says so.
func Ensure(ctx context.Context, kube client.Client, config Config, now time.Time, log logr.Logger) error {
	authorities, err := ensureAuthority(ctx, kube, config, now, log)
	if err != nil {
		return fmt.Errorf("the authority in Secret %s/%s: %w", config.Namespace, config.Authority, err)
	}
	if err := ensureServer(ctx, kube, config, authorities, now, log); err != nil {
		return fmt.Errorf("the certificate in Secret %s/%s: %w", config.Namespace, config.Server, err)
	}
	return nil
}

func ensureAuthority(ctx context.Context, kube client.Client, config Config, now time.Time, log logr.Logger) (Authorities, error) {
	secret, err := read(ctx, kube, config.Namespace, config.Authority)
	if err != nil {
		return Authorities{}, err
	}
	have := AuthoritiesIn(secret)
	want, err := have.Renewed(now)
	if err != nil {
		// To replace it would lock out all clients: somebody has to look first.
		return Authorities{}, fmt.Errorf("%w: correct the Secret, or delete it to have a new one made, which all clients then have to trust", err)
	}
	switch {
	case secret != nil && reflect.DeepEqual(have, want):
		return want, nil
	case secret != nil && !ours(secret) && bytes.Equal(have.Signer.Certificate, want.Signer.Certificate):
		// Whoever made it says what follows it.
		return Authorities{Signer: have.Signer, Bundle: have.Bundle}.trusting(now, have.Signer)
	}
	if !bytes.Equal(have.Next.Certificate, want.Next.Certificate) && !want.Next.empty() {
		log.Info("announced the next authority", "secret", config.Authority)
	}
	if !bytes.Equal(have.Signer.Certificate, want.Signer.Certificate) {
		log.Info("another authority signs", "secret", config.Authority)
	}
	return want, write(ctx, kube, secret, config.Namespace, config.Authority, want.data())
}

func ensureServer(ctx context.Context, kube client.Client, config Config, authorities Authorities, now time.Time, log logr.Logger) error {
	secret, err := read(ctx, kube, config.Namespace, config.Server)
	if err != nil {
		return err
	}
	names := Names{DNS: config.DNSNames}
	var issued Pair
	why := errors.New("there is none")
	if secret != nil {
		issued = pairIn(secret)
		why = authorities.Signer.Stale(issued, names, now)
	}
	if why != nil {
		if issued, err = authorities.Signer.Issue(names, now); err != nil {
			return err
		}
		log.Info("issued the server's certificate", "secret", config.Server, "why", why.Error())
	} else if bytes.Equal(secret.Data[keyAuthority], authorities.Bundle) {
		return nil
	}
	data := dataOf(issued)
	data[keyAuthority] = authorities.Bundle
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
	return Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
}

func dataOf(p Pair) map[string][]byte {
	return map[string][]byte{corev1.TLSCertKey: p.Certificate, corev1.TLSPrivateKeyKey: p.Key}
}

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
