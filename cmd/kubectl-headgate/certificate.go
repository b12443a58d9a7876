package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/controllers/certificates"
)

// certificateCommand is `kubectl headgate certificate NAME`.
func certificateCommand(ctx context.Context, arguments []string, console console) error {
	o, err := parseCertificate(arguments, console.out)
	if err != nil {
		return err
	}
	config, namespace, err := o.cluster.load()
	if err != nil {
		return err
	}
	kube, err := coreClient(config)
	if err != nil {
		return err
	}
	authorities, trusted, err := readAuthorities(ctx, kube, o)
	if err != nil {
		return err
	}
	issued, err := authorities.Signer.IssueFor(
		time.Duration(o.days)*24*time.Hour, certificates.Names{URI: o.uri(namespace)}, time.Now()) //nolint:forbidigo // a command has the time of day
	if err != nil {
		return fmt.Errorf("the authority in Secret %s/%s: %w", o.headgateNamespace, o.authority, err)
	}
	files := map[string][]byte{
		corev1.TLSCertKey: issued.Certificate, corev1.TLSPrivateKeyKey: issued.Key, caKey: trusted,
	}
	if o.output != "" {
		return writeCertificate(o.output, files, console)
	}
	return writeSecret(console.out, namespace, o.name, files)
}

// caKey is the key of a Secret, or the name of a file, with the authorities that sign the server's certificate.
const caKey = "ca.crt"

func coreClient(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.RESTClientFor(config)
}

// readAuthorities reads the clients' authorities, and what a client is to trust: the certificates of the server's. It says what to do
// when that fails.
func readAuthorities(ctx context.Context, kube *rest.RESTClient, o *certificateOptions) (clients certificates.Authorities, trusted []byte, err error) {
	var secret corev1.Secret
	err = kube.Get().Namespace(o.headgateNamespace).Resource("secrets").Name(o.authority).Do(ctx).Into(&secret)
	switch {
	case apierrors.IsNotFound(err):
		return clients, nil, fmt.Errorf("there is no Secret %s in namespace %s: Headgate's chart makes it with xds.enabled=true, "+
			"unless you issue the certificates; --headgate-namespace says where Headgate is installed", o.authority, o.headgateNamespace)
	case apierrors.IsForbidden(err):
		return clients, nil, fmt.Errorf("you may not read Secret %s/%s, with whose key a certificate for any namespace can be made: "+
			"ask who runs Headgate for a certificate", o.headgateNamespace, o.authority)
	case err != nil:
		return clients, nil, fmt.Errorf("reading Secret %s/%s: %w", o.headgateNamespace, o.authority, err)
	}
	clients = certificates.AuthoritiesIn(&secret)
	if trusted = secret.Data[certificates.KeyServerAuthority]; len(trusted) > 0 {
		return clients, trusted, nil
	}
	servers, err := readServerAuthority(ctx, kube, o)
	if err != nil {
		return clients, nil, err
	}
	trusted, err = certificates.Trusted(&secret, servers)
	return clients, trusted, err
}

// readServerAuthority reads the Secret that says whom a client is to trust where nobody has put that beside the clients' authority, as
// cert-manager does not; nil: there is none.
func readServerAuthority(ctx context.Context, kube *rest.RESTClient, o *certificateOptions) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := kube.Get().Namespace(o.headgateNamespace).Resource("secrets").Name(o.serverAuthority).Do(ctx).Into(&secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("Secret %s/%s has no key %s, and you may not read Secret %s, which says whom a client is to trust: ask who runs Headgate for a certificate", //nolint:staticcheck // the name of a kind
			o.headgateNamespace, o.authority, certificates.KeyServerAuthority, o.serverAuthority)
	case err != nil:
		return nil, fmt.Errorf("reading Secret %s/%s: %w", o.headgateNamespace, o.serverAuthority, err)
	}
	return &secret, nil
}

// writeSecret prints a Secret that kubectl applies, with the names that a client's bootstrap looks for.
func writeSecret(out io.Writer, namespace, name string, data map[string][]byte) error {
	text, err := yaml.Marshal(corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Type:       corev1.SecretTypeTLS, Data: data,
	})
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// writeCertificate writes the files into a directory. The key is for its owner alone.
func writeCertificate(directory string, files map[string][]byte, console console) error {
	if err := os.MkdirAll(directory, 0o750); err != nil { //nolint:gosec // the user says where
		return err
	}
	key := filepath.Join(directory, corev1.TLSPrivateKeyKey)
	// What is there may be readable for others: the mode of a file that exists does not change by writing it.
	if err := os.Remove(key); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(key, files[corev1.TLSPrivateKeyKey], 0o600); err != nil { //nolint:gosec // the user says where
		return err
	}
	fmt.Fprintln(console.err, "wrote", key)
	for _, name := range []string{corev1.TLSCertKey, caKey} {
		if err := writeFile(filepath.Join(directory, name), files[name], console); err != nil {
			return err
		}
	}
	return nil
}
