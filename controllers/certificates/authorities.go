package certificates

import (
	"crypto/x509"
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

// Renewed are the authorities of a side as they are to be now. None of them: the first is made.
func (a Authorities) Renewed(side Side, now time.Time) (Authorities, error) {
	if len(a.Signer.Certificate) == 0 {
		return first(side, now)
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
		return first(side, now)
	case now.Before(signer.NotAfter.Add(-announcement)):
		return a.trusting(now, a.Signer)
	case a.Next.empty():
		// One that signs for both sides is followed by one that does, because it may have to ([Separation]).
		if a.Next, err = NewAuthority(side.commonName(), now, signer.ExtKeyUsage...); err != nil {
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

func first(side Side, now time.Time) (Authorities, error) {
	signer, err := NewAuthority(side.commonName(), now, side.usage())
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
	all, err := certificatesOf(append(texts, a.Bundle)...)
	if err != nil {
		return Authorities{}, err
	}
	a.Bundle = slices.DeleteFunc(all, func(c *x509.Certificate) bool { return !now.Before(c.NotAfter) }).pem()
	return a, nil
}
