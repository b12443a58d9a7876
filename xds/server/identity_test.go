package server

import (
	"crypto/x509"
	"net/url"
	"testing"
)

// TestOneClientHasOneName: what a SPIFFE id must not have would give a client as many names as it likes, each with limits of its own.
func TestOneClientHasOneName(t *testing.T) {
	const name = "spiffe://cluster.local/ns/shop/sa/client"
	of := identities{trustDomain: "cluster.local"}
	for text, right := range map[string]bool{
		name:                true,
		name + "?a":         false,
		name + "?":          false,
		name + "#a":         false,
		name + "#":          true, // net/url drops an empty fragment
		name + "/":          false,
		name + "%32":        false,
		"SPIFFE" + name[6:]: true, // net/url makes the scheme lower-case: it is the same name
		"spiffe://me@cluster.local/ns/shop/sa/client":      false,
		"spiffe://cluster.local:443/ns/shop/sa/client":     false,
		"spiffe://cluster.local./ns/shop/sa/client":        false,
		"spiffe://cluster.local/ns/shop%2Fother/sa/client": false,
		"spiffe://cluster.local/ns//sa/client":             false,
		"spiffe://cluster.local/ns/shop/sa/":               false,
		"https://cluster.local/ns/shop/sa/client":          false,
		"spiffe:/ns/shop/sa/client":                        false,
	} {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := of.of(&x509.Certificate{URIs: []*url.URL{uri}})
		switch {
		case right && (err != nil || got.Name != name || got.Namespace != "shop"):
			t.Errorf("%s is %+v, %v", text, got, err)
		case !right && err == nil:
			t.Errorf("%s is taken as %+v", text, got)
		}
	}
}
