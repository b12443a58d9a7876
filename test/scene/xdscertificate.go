package scene

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// xdsAuthority is the Secret with the authority that the chart's Job makes.
const xdsAuthority = "headgate-xds-ca"

// xdsCA is the key of a client's Secret with the authority that signs the server's certificate.
const xdsCA = "ca.crt"

// XDSCertificate is a certificate for the xDS clients of a namespace, signed by the chart's own authority:
// a Secret that has not been made yet.
func (c *Cluster) XDSCertificate(ctx context.Context, namespace string) (*corev1.Secret, error) {
	var authority corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: HeadgateNamespace, Name: xdsAuthority}, &authority); err != nil {
		return nil, fmt.Errorf("the authority of xDS (the chart makes it with xds.enabled=true): %w", err)
	}
	signer, err := tls.X509KeyPair(authority.Data[corev1.TLSCertKey], authority.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("the authority in Secret %s/%s: %w", HeadgateNamespace, xdsAuthority, err)
	}
	certificate, key, err := issue(signer, namespace)
	if err != nil {
		return nil, fmt.Errorf("a certificate for namespace %s: %w", namespace, err)
	}
	out := &corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key, xdsCA: authority.Data[corev1.TLSCertKey],
	}}
	out.Namespace, out.Name = namespace, "xds-client"
	return out, nil
}

// issue makes a certificate, as PEM, that names a workload of a namespace as SPIFFE does.
func issue(signer tls.Certificate, namespace string) (certificate, key []byte, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	const serialBits = 127
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		URIs:         []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/" + namespace + "/sa/client"}},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.Leaf, own.Public(), signer.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
