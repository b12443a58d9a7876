package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"time"
)

const (
	// AuthorityLifetime of an authority. [Authorities] has how it is followed by the next one.
	AuthorityLifetime = 10 * 365 * 24 * time.Hour
	// Lifetime of a certificate that it signs, at most.
	Lifetime = 365 * 24 * time.Hour
	// backdate makes a certificate valid on machines whose clocks are behind.
	backdate = 5 * time.Minute
)

// Pair is a certificate and its key, in PEM.
type Pair struct {
	Certificate, Key []byte
}

// Names are whom a certificate is for.
type Names struct {
	// DNS are the names of a server.
	DNS []string
	// URI is the name of a client: spiffe://<trust domain>/ns/<namespace>/sa/<service account>.
	URI string
}

func (p Pair) empty() bool { return len(p.Certificate) == 0 && len(p.Key) == 0 }

var errNoAuthority = errors.New("the certificate is not that of an authority")

// NewAuthority makes an authority that signs itself. What it signs is good for the usages alone; none: for any.
func NewAuthority(name string, now time.Time, usages ...x509.ExtKeyUsage) (Pair, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           usages,
	}
	return sign(template, nil, nil)
}

// Issue has the authority sign a certificate that is valid for a Lifetime. See IssueFor.
func (p Pair) Issue(names Names, now time.Time) (Pair, error) {
	return p.IssueFor(Lifetime, names, now)
}

// IssueFor has the authority sign a certificate: for a server if it has DNS names, for a client if it has a URI. A server's
// is for clients as well, because replicas of versions before this one accept no other from each other. It is valid for no longer
// than a Lifetime, nor than the authority.
func (p Pair) IssueFor(lifetime time.Duration, names Names, now time.Time) (Pair, error) {
	signer, key, err := p.parse()
	if err != nil {
		return Pair{}, fmt.Errorf("read the authority: %w", err)
	}
	template := &x509.Certificate{
		NotBefore: now.Add(-backdate),
		NotAfter:  earlier(now.Add(min(lifetime, Lifetime)), signer.NotAfter),
		KeyUsage:  x509.KeyUsageDigitalSignature,
		DNSNames:  names.DNS,
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(names.DNS) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if names.URI != "" {
		uri, err := url.Parse(names.URI)
		if err != nil {
			return Pair{}, fmt.Errorf("the client's name: %w", err)
		}
		template.URIs = []*url.URL{uri}
	}
	return sign(template, signer, key)
}

// Stale says why a certificate is to be issued anew: it is not the authority's, has other names, or has less
// than a third of its life left. Nil: it is good.
func (p Pair) Stale(issued Pair, names Names, now time.Time) error {
	certificate, _, err := issued.parse()
	if err != nil {
		return err
	}
	authority, _, err := p.parse()
	if err != nil {
		return fmt.Errorf("read the authority: %w", err)
	}
	switch left := certificate.NotAfter.Sub(now); {
	case certificate.CheckSignatureFrom(authority) != nil:
		return errors.New("another authority has signed it")
	case !slices.Equal(slices.Sorted(slices.Values(certificate.DNSNames)), slices.Sorted(slices.Values(names.DNS))):
		return fmt.Errorf("it is for %v, and is to be for %v", certificate.DNSNames, names.DNS)
	case left < certificate.NotAfter.Sub(certificate.NotBefore)/3 && certificate.NotAfter.Before(authority.NotAfter):
		return fmt.Errorf("it expires on %s", certificate.NotAfter.Format(time.DateOnly))
	case left <= 0:
		return fmt.Errorf("it expired on %s", certificate.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// parse reads a pair, and checks that one belongs to the other.
func (p Pair) parse() (*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.X509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("a key of type %T cannot sign", pair.PrivateKey)
	}
	return pair.Leaf, key, nil
}

// sign makes a key and a certificate for it; without a signer it signs itself.
func sign(template, signer *x509.Certificate, signerKey crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	// RFC 5280, 4.1.2.2: at most 20 octets, not negative.
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, fmt.Errorf("make a serial number: %w", err)
	}
	if signer == nil {
		signer, signerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), signerKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode the key: %w", err)
	}
	return Pair{Certificate: encode("CERTIFICATE", der), Key: encode("PRIVATE KEY", keyDER)}, nil
}

func encode(kind string, der []byte) []byte {
	var out bytes.Buffer
	_ = pem.Encode(&out, &pem.Block{Type: kind, Bytes: der}) // writing into memory
	return out.Bytes()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
