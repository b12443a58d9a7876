package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// Authorities are the authority that signs, the one that is to follow it, and all that are trusted.
//
// An authority is announced two lifetimes of a certificate before its predecessor's end, and signs from half-way on. Who gets a
// certificate gets the bundle with it, and none is valid for longer than a lifetime: when the new authority begins to sign,
// everybody has been told of it, and the old one ends after the last certificate that it signed.
type Authorities struct {
	// Signer signs.
	Signer Pair
	// Next signs when its time has come; empty: none is announced.
	Next Pair
	// Bundle are the certificates of all authorities that are trusted, in PEM.
	Bundle []byte
}

// announcement is how long before the end of an authority the next one is announced.
const announcement = 2 * Lifetime

// Renewed are the authorities as they are to be now. None of them: the first is made.
func (a Authorities) Renewed(now time.Time) (Authorities, error) {
	if len(a.Signer.Certificate) == 0 {
		return first(now)
	}
	signer, _, err := a.Signer.parse()
	if err != nil {
		return Authorities{}, err
	}
	if !signer.IsCA {
		return Authorities{}, errNoAuthority
	}
	switch {
	case !now.Before(signer.NotAfter) && a.Next.empty():
		return first(now)
	case now.Before(signer.NotAfter.Add(-announcement)):
		return a.trusting(now, a.Signer)
	case a.Next.empty():
		if a.Next, err = NewAuthority(commonName, now); err != nil {
			return Authorities{}, err
		}
	}
	next, _, err := a.Next.parse()
	if err != nil {
		return Authorities{}, fmt.Errorf("the next one: %w", err)
	}
	announced := next.NotBefore.Add(backdate)
	if halfway := announced.Add(signer.NotAfter.Sub(announced) / 2); now.Before(halfway) {
		return a.trusting(now, a.Signer, a.Next)
	}
	return Authorities{Signer: a.Next, Bundle: a.Bundle}.trusting(now, a.Next, a.Signer)
}

// commonName is that of the authorities. Their keys tell them apart.
const commonName = "headgate xDS"

func first(now time.Time) (Authorities, error) {
	signer, err := NewAuthority(commonName, now)
	if err != nil {
		return Authorities{}, err
	}
	return Authorities{Signer: signer}.trusting(now, signer)
}

// trusting has the bundle hold these, and those before them that have not expired.
func (a Authorities) trusting(now time.Time, these ...Pair) (Authorities, error) {
	var texts [][]byte
	for _, pair := range these {
		texts = append(texts, pair.Certificate)
	}
	texts = append(texts, a.Bundle)
	var bundle bytes.Buffer
	var seen [][]byte
	for block, rest := pem.Decode(bytes.Join(texts, []byte("\n"))); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Authorities{}, fmt.Errorf("a trusted authority: %w", err)
		}
		known := slices.ContainsFunc(seen, func(raw []byte) bool { return bytes.Equal(raw, certificate.Raw) })
		if known || !now.Before(certificate.NotAfter) {
			continue
		}
		seen = append(seen, certificate.Raw)
		bundle.Write(encode("CERTIFICATE", certificate.Raw))
	}
	a.Bundle = bundle.Bytes()
	return a, nil
}
