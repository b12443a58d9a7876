package certificates

import (
	"slices"
	"time"
)

// Separation is of the server's authority from the clients'.
//
// Once one authority signed for both. It is now the clients', because that is what it was given away for. The server's certificate is
// its own still, and clients trust nothing else. So the server's new authority is announced first: clients get its certificate beside the
// other with each certificate of their own. After the period, in which every certificate of a client has to be renewed, it signs
// the server's certificate. After that clients are told of it alone.
type Separation struct {
	// Clients and Servers are the authorities of both sides.
	Clients, Servers Authorities
	// Served is the server's certificate as it is now.
	Served Pair
	// Announced is when clients began to be told of the server's authority.
	Announced time.Time
	// Period is how long the server goes on with the clients' authority from then on.
	Period time.Duration
}

// Signers says who signs the server's certificate, and whom clients are told to trust for it, in PEM. The two are one authority only
// while they are being separated.
func (s Separation) Signers(now time.Time) (signer Pair, trusted []byte, err error) {
	clients, err := certificatesOf(s.Clients.Bundle, s.Clients.Signer.Certificate)
	if err != nil {
		return Pair{}, nil, err
	}
	told, err := certificatesOf(s.Servers.Bundle)
	if err != nil {
		return Pair{}, nil, err
	}
	separate := slices.DeleteFunc(slices.Clone(told), clients.has)
	serves, err := certificatesOf(s.Served.Certificate)
	shared := err == nil && len(serves) > 0 && clients.signed(serves[0])
	begun := shared || len(separate) < len(told) // also where the server's certificate has got lost meanwhile
	switch {
	case begun && now.Before(s.Announced.Add(s.Period)):
		return s.Clients.Signer, separate.and(clients).pem(), nil
	case shared: // it is renewed now, and replicas take a minute to have it
		return s.Servers.Signer, separate.and(clients).pem(), nil
	}
	return s.Servers.Signer, separate.pem(), nil
}
