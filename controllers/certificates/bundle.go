package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
)

// bundle is a list of certificates, each once.
type bundle []*x509.Certificate

// certificatesOf reads texts in PEM.
func certificatesOf(texts ...[]byte) (bundle, error) {
	var out bundle
	for block, rest := pem.Decode(bytes.Join(texts, []byte("\n"))); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a trusted authority: %w", err)
		}
		out = out.and(bundle{certificate})
	}
	return out, nil
}

func (b bundle) has(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(b, certificate.Equal)
}

func (b bundle) and(more bundle) bundle {
	out := slices.Clone(b)
	for _, certificate := range more {
		if !out.has(certificate) {
			out = append(out, certificate)
		}
	}
	return out
}

// signed says whether one of them has signed a certificate.
func (b bundle) signed(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(b, func(authority *x509.Certificate) bool { return certificate.CheckSignatureFrom(authority) == nil })
}

func (b bundle) pem() []byte {
	var out bytes.Buffer
	for _, certificate := range b {
		out.Write(encode("CERTIFICATE", certificate.Raw))
	}
	return out.Bytes()
}
