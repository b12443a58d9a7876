package certificates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// keyAuthority is the key of a Secret that holds the authority's certificate, as cert-manager has it.
const keyAuthority = "ca.crt"

// Config says which Secrets there are to be.
type Config struct {
	Namespace string
	// Authority is the name of the Secret with the authority's certificate and key.
	Authority string
	// Server is the name of the Secret with the server's certificate and key, and the authority's certificate.
	Server string
	// DNSNames are those of the server.
	DNSNames []string
}

// Ensure makes or renews the Secrets. It writes nothing when both are good. A Secret that it did not make is used as it
// is if it is good, and otherwise left alone: an error says so.
func Ensure(ctx context.Context, kube client.Client, config Config, now time.Time, log logr.Logger) error {
	authority, err := ensureAuthority(ctx, kube, config, now, log)
	if err != nil {
		return fmt.Errorf("the authority in Secret %s/%s: %w", config.Namespace, config.Authority, err)
	}
	if err := ensureServer(ctx, kube, config, authority, now, log); err != nil {
		return fmt.Errorf("the certificate in Secret %s/%s: %w", config.Namespace, config.Server, err)
	}
	return nil
}

func ensureAuthority(ctx context.Context, kube client.Client, config Config, now time.Time, log logr.Logger) (Pair, error) {
	secret, err := read(ctx, kube, config.Namespace, config.Authority)
	if err != nil {
		return Pair{}, err
	}
	if secret != nil {
		expired, err := pairIn(secret).Expired(now)
		if err == nil && !expired {
			return pairIn(secret), nil
		}
		if err != nil {
			// To replace it would lock out all clients: somebody has to look first.
			return Pair{}, fmt.Errorf("%w: correct the Secret, or delete it to have a new one made, which all clients then have to trust", err)
		}
	}
	authority, err := NewAuthority("headgate xDS", now)
	if err != nil {
		return Pair{}, err
	}
	log.Info("made an authority", "secret", config.Authority)
	return authority, write(ctx, kube, secret, config.Namespace, config.Authority, authority, authority.Certificate)
}

func ensureServer(ctx context.Context, kube client.Client, config Config, authority Pair, now time.Time, log logr.Logger) error {
	secret, err := read(ctx, kube, config.Namespace, config.Server)
	if err != nil {
		return err
	}
	names := Names{DNS: config.DNSNames}
	why := "there is none"
	if secret != nil {
		stale := authority.Stale(pairIn(secret), names, now)
		if stale == nil {
			return nil
		}
		why = stale.Error()
	}
	issued, err := authority.Issue(names, now)
	if err != nil {
		return err
	}
	log.Info("issued the server's certificate", "secret", config.Server, "why", why)
	return write(ctx, kube, secret, config.Namespace, config.Server, issued, authority.Certificate)
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

func pairIn(secret *corev1.Secret) Pair {
	return Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
}

// write makes a Secret, or changes the one that was read: the resource version is a precondition, so that of
// two who run at once one fails, and finds the other's when it is run again.
func write(ctx context.Context, kube client.Client, secret *corev1.Secret, namespace, name string, pair Pair, authority []byte) error {
	data := map[string][]byte{
		corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key, keyAuthority: authority,
	}
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
	if secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy {
		return errors.New("it was not made by Headgate and has to be renewed by whoever made it")
	}
	maps.Copy(secret.Data, data)
	if err := kube.Update(ctx, secret); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}
