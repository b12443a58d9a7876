package apiserver

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// gate stands between the controllers and the API server, and tells them that all namespaces but those of Controllers are about to go. They
// have no rights there anyway. But a refusal is tried again and again, up to fifteen times, and all tries of the controller of EndpointSlices
// share ten a second: with many namespaces that it may not enter, those that it may waited for minutes.
type gate struct {
	proxy  *httputil.ReverseProxy
	server *http.Server
	// address is where it listens.
	address string

	mu      sync.Mutex
	entered map[string]bool
}

// newGate listens on a port of the loopback interface, and speaks to the API server as the user of the config.
func newGate(config *rest.Config) (*gate, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{
		proxy: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
			// What is watched comes at once.
			Transport: transport, FlushInterval: -1,
		},
		address: listener.Addr().String(), entered: map[string]bool{},
	}
	g.server = &http.Server{Handler: g}
	go g.server.Serve(listener) //nolint:errcheck // it ends with close
	return g, nil
}

func (g *gate) close() error { return g.server.Close() }

// enter lets the controllers into a namespace.
func (g *gate) enter(namespace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entered[namespace] = true
}

var slicesOf = regexp.MustCompile(`^/apis/discovery\.k8s\.io/v1/namespaces/([^/]+)/endpointslices$`)

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if of := slicesOf.FindStringSubmatch(r.URL.Path); of != nil && r.Method == http.MethodPost && !g.isEntered(of[1]) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(metav1.Status{ //nolint:errcheck,errchkjson // who does not read it tries again
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden,
			Reason: metav1.StatusReasonForbidden, Message: "no test has let the controllers into namespace " + of[1],
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}},
		})
		return
	}
	g.proxy.ServeHTTP(w, r)
}

func (g *gate) isEntered(namespace string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.entered[namespace]
}
