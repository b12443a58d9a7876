package calls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/headgate/headgate/signals"
)

// Server is a Prometheus server that the platform names.
type Server struct {
	// Name is how ExposedServices call it.
	Name string
	// Address is its base URL.
	Address string
	// Label is the label of a series whose value is the namespace that may read it.
	Label string
	// TokenFile holds a bearer token, and CAFile the certificates (PEM) that the server's is verified with; empty: none, and the
	// system's. They are read at each look, so that what changes is taken up.
	TokenFile, CAFile string
}

// ServersConfig says which Prometheus servers may be asked.
type ServersConfig struct {
	// Named are those of the platform.
	Named []Server
	// Addresses: ExposedServices may name addresses of their own as well.
	Addresses bool
}

// Servers are the Prometheus servers that may be asked. Those of the platform are shared, and so are the connections to each.
type Servers struct {
	named     []*namedServer
	addresses bool
	// http asks those that ExposedServices name.
	http *http.Client
}

// NewServers makes them. They are asked by way of a client.
func NewServers(config ServersConfig, by *http.Client) *Servers {
	out := &Servers{addresses: config.Addresses, http: by}
	for _, server := range config.Named {
		out.named = append(out.named, &namedServer{Server: server, transport: &sharedTransport{base: by.Transport}})
	}
	return out
}

// namedServer is a server of the platform, and how it is reached.
type namedServer struct {
	Server

	transport *sharedTransport
}

// chosen is a server to ask, by which client and with what, and which series may be read there; only is nil: all of them.
type chosen struct {
	address     string
	only        *signals.Only
	http        *http.Client
	credentials func(context.Context) (signals.Credentials, error)
}

// host is what is asked, however it was named.
func (c chosen) host() string {
	address, err := url.Parse(c.address)
	if err != nil {
		return ""
	}
	return address.Host
}

// choose is the server that is asked for by somebody in a namespace, who may read series of that namespace alone from a server of the platform.
// The error is for that person.
func (s *Servers) choose(namespace string, asked *prometheusServer) (chosen, error) {
	switch {
	case (asked.Server == "") == (asked.Address == ""):
		return chosen{}, atField("prometheus", errors.New("set one of server and address, and not both"))
	case asked.Server != "":
		return s.chooseNamed(namespace, asked)
	case !s.addresses:
		return chosen{}, atField("prometheus.address", fmt.Errorf(
			"this cluster lets ExposedServices ask only the Prometheus servers that its platform names%s", s.remedy()))
	case asked.Token != nil && !strings.HasPrefix(asked.Address, "https://"):
		return chosen{}, atField("prometheus.bearerTokenSecretRef", errors.New(
			"a token is sent to https:// addresses only, so that nobody on the way reads it: set such an address, or remove bearerTokenSecretRef"))
	}
	return chosen{address: asked.Address, http: s.http}, nil
}

func (s *Servers) chooseNamed(namespace string, asked *prometheusServer) (chosen, error) {
	if asked.Token != nil || asked.CA != nil {
		return chosen{}, atField("prometheus.server", errors.New(
			"the platform gives its servers their token and CA: remove bearerTokenSecretRef and caSecretRef"))
	}
	at := slices.IndexFunc(s.named, func(server *namedServer) bool { return server.Name == asked.Server })
	if at < 0 {
		return chosen{}, atField("prometheus.server", fmt.Errorf("the platform names no Prometheus server %s%s", asked.Server, s.remedy()))
	}
	server := s.named[at]
	return chosen{
		address: server.Address, only: &signals.Only{Label: server.Label, Value: namespace},
		http: &http.Client{Transport: server.transport}, credentials: server.credentials,
	}, nil
}

// remedy says which servers there are.
func (s *Servers) remedy() string {
	if len(s.named) == 0 {
		return ": it names none, and its operator can (--prometheus, in the chart prometheus.servers)"
	}
	names := make([]string, len(s.named))
	for i, server := range s.named {
		names[i] = server.Name
	}
	slices.Sort(names)
	if len(names) == 1 {
		return ": set server to " + names[0]
	}
	return " (" + strings.Join(names, ", ") + "): set server to one of them"
}

// credentials reads the token, and sees to it that connections are made with the CA as it is now.
func (s *namedServer) credentials(context.Context) (signals.Credentials, error) {
	var out signals.Credentials
	ca, err := s.read(s.CAFile)
	if err == nil {
		err = s.transport.verifyBy(ca)
	}
	if err != nil {
		return out, fmt.Errorf("the CA of Prometheus server %s, which the platform sets: %w", s.Name, err)
	}
	if out.Token, err = s.read(s.TokenFile); err != nil {
		return out, fmt.Errorf("the token of Prometheus server %s, which the platform sets: %w", s.Name, err)
	}
	return out, nil
}

// read reads a file; without one there is nothing. An empty file is a mistake: what it was to hold is required.
func (*namedServer) read(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file) //nolint:gosec // a flag of the operator names it
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return content, nil
}

// sharedTransport leads to a server for all who ask it. With a CA, its connections live until that changes.
type sharedTransport struct {
	base http.RoundTripper

	mu      sync.Mutex
	ca      []byte
	current http.RoundTripper
}

// verifyBy has connections made from now on verified by certificates (PEM); empty: the system's.
func (t *sharedTransport) verifyBy(ca []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && bytes.Equal(t.ca, ca) {
		return nil
	}
	made, err := signals.WithCA(t.base, ca)
	if err != nil {
		return err
	}
	if old, ok := t.current.(*http.Transport); ok && len(t.ca) > 0 {
		old.CloseIdleConnections()
	}
	t.current, t.ca = made, ca
	return nil
}

// RoundTrip implements http.RoundTripper.
func (t *sharedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.mu.Lock()
	current := t.current
	t.mu.Unlock()
	if current == nil {
		return nil, errors.New("nobody has said yet which certificates the server is verified by")
	}
	return current.RoundTrip(request)
}

// fieldError is an error of a field under the one that asks for a source.
type fieldError struct {
	field string
	err   error
}

func atField(field string, err error) error { return &fieldError{field: field, err: err} }

// Error implements error.
func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }

// Unwrap is for errors.Is and errors.As.
func (e *fieldError) Unwrap() error { return e.err }
