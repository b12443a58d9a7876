package calls

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

// asks is an ExposedService that asks Prometheus for errors.
func asks(namespace string, prometheus v1alpha1.PrometheusSource) *v1alpha1.ExposedService {
	exs := counting(namespace, "greeter")
	exs.Spec.Failover.Errors.Source, exs.Spec.Failover.Errors.Prometheus = ptr.To(v1alpha1.SourcePrometheus), &prometheus
	return exs
}

// TestWhichPrometheusServersMayBeAsked: what may not be is not asked, and the message says what may.
func TestWhichPrometheusServersMayBeAsked(t *testing.T) {
	named := []Server{{Name: "mimir", Address: "https://mimir"}, {Name: "metrics", Address: "https://metrics"}}
	ref := &corev1.SecretKeySelector{Key: "k"}
	for name, c := range map[string]struct {
		config ServersConfig
		source v1alpha1.PrometheusSource
		want   string
	}{
		"a server of the platform": {ServersConfig{Named: named}, v1alpha1.PrometheusSource{Server: "metrics"}, ""},
		"an unknown one": {
			ServersConfig{Named: named},
			v1alpha1.PrometheusSource{Server: "thanos"},
			"spec.failover.errors.prometheus.server: the platform names no Prometheus server thanos (metrics, mimir): set server to one of them",
		},
		"an unknown one beside one": {
			ServersConfig{Named: named[:1]},
			v1alpha1.PrometheusSource{Server: "thanos"},
			"spec.failover.errors.prometheus.server: the platform names no Prometheus server thanos: set server to mimir",
		},
		"one where there is none": {
			ServersConfig{},
			v1alpha1.PrometheusSource{Server: "metrics"},
			"spec.failover.errors.prometheus.server: the platform names no Prometheus server metrics: it names none, and its operator can " +
				"(--prometheus, in the chart prometheus.servers)",
		},
		"an address": {
			ServersConfig{Named: named},
			v1alpha1.PrometheusSource{Address: "https://prometheus"},
			"spec.failover.errors.prometheus.address: this cluster lets ExposedServices ask only the Prometheus servers that its platform names " +
				"(metrics, mimir): set server to one of them",
		},
		"the address of a server of the platform": {
			ServersConfig{Named: named},
			v1alpha1.PrometheusSource{Address: "https://metrics"},
			"spec.failover.errors.prometheus.address: this cluster lets ExposedServices ask only",
		},
		"an address where that is allowed":    {ServersConfig{Addresses: true}, v1alpha1.PrometheusSource{Address: "http://prometheus"}, ""},
		"an address with a token where it is": {ServersConfig{Addresses: true}, v1alpha1.PrometheusSource{Address: "https://prometheus", BearerTokenSecretRef: ref}, ""},
		"a stored address with a token in the clear": {
			ServersConfig{Addresses: true},
			v1alpha1.PrometheusSource{Address: "http://prometheus", BearerTokenSecretRef: ref},
			"spec.failover.errors.prometheus.bearerTokenSecretRef: a token is sent to https:// addresses only",
		},
		"both": {
			ServersConfig{Named: named, Addresses: true},
			v1alpha1.PrometheusSource{Server: "metrics", Address: "https://metrics"},
			"spec.failover.errors.prometheus: set one of server and address",
		},
		"neither": {ServersConfig{Named: named, Addresses: true}, v1alpha1.PrometheusSource{}, "spec.failover.errors.prometheus: set one of server and address"},
		"a token for a server of the platform": {
			ServersConfig{Named: named},
			v1alpha1.PrometheusSource{Server: "metrics", BearerTokenSecretRef: ref},
			"spec.failover.errors.prometheus.server: the platform gives its servers their token and CA",
		},
		"a query that is none": {
			ServersConfig{Named: named},
			v1alpha1.PrometheusSource{Server: "metrics", Calls: "{{.Pod}}"},
			"spec.failover.errors.prometheus: calls: {{.Pod}}: only",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.source.Calls, c.source.Errors = cmp.Or(c.source.Calls, "calls"), "errors"
			counter := newCounter(t, func(...types.NamespacedName) {})
			counter.config.Prometheus = NewServers(c.config, counter.config.HTTP)
			exs := asks("shop", c.source)
			counter.Watch(exs, func() signals.Query { return signals.Query{} })
			condition := counter.Condition(exs, "primary")
			if c.want == "" {
				if condition != nil {
					t.Errorf("the condition is %+v before the first look", condition)
				}
				return
			}
			if condition == nil || condition.Reason != string(v1alpha1.ReasonSourceInvalid) || !strings.HasPrefix(condition.Message, c.want) {
				t.Errorf("the condition is %+v\nwant %s", condition, c.want)
			}
		})
	}
}

// sharedPrometheus is a server that many ask, and notes what.
type sharedPrometheus struct {
	mu      sync.Mutex
	queries map[string]bool
	tokens  map[string]bool
	callers map[string]bool
}

func (p *sharedPrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queries[r.FormValue("query")], p.tokens[r.Header.Get("Authorization")], p.callers[r.RemoteAddr] = true, true, true
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%d,"7"]}}`, noon.Unix())
}

// noted are what has been noted since the last time.
func (p *sharedPrometheus) noted() (queries, tokens []string, callers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	queries, tokens, callers = slices.Sorted(maps.Keys(p.queries)), slices.Sorted(maps.Keys(p.tokens)), len(p.callers)
	p.queries, p.tokens, p.callers = map[string]bool{}, map[string]bool{}, map[string]bool{}
	return queries, tokens, callers
}

// TestEachNamespaceReadsItsOwnSeriesOfAServerOfThePlatform: with the token and the CA of the platform, as they are in its files now, over
// connections that all share.
func TestEachNamespaceReadsItsOwnSeriesOfAServerOfThePlatform(t *testing.T) {
	prometheus := &sharedPrometheus{}
	prometheus.noted()
	secure := httptest.NewUnstartedServer(prometheus)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	folder := t.TempDir()
	token, ca := filepath.Join(folder, "token"), filepath.Join(folder, "ca.crt")
	write := func(file, content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(token, "first\n")
	write(ca, "none")

	counter := newCounter(t, func(...types.NamespacedName) {})
	counter.config.Prometheus = NewServers(ServersConfig{Named: []Server{
		{Name: "metrics", Address: secure.URL, Label: "tenant", TokenFile: token, CAFile: ca},
	}}, counter.config.HTTP)
	var all []*v1alpha1.ExposedService
	for _, namespace := range []string{"shop", "rival"} {
		exs := asks(namespace, v1alpha1.PrometheusSource{Server: "metrics", Calls: `calls{namespace="{{.Namespace}}"}`, Errors: `{__name__=~".+",tenant="shop"}`})
		counter.Watch(exs, func() signals.Query {
			return signals.Query{Namespace: namespace, Name: "greeter", Backends: []signals.Backend{{Name: "primary"}}}
		})
		all = append(all, exs)
	}
	look := func() string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		counter.lookAtAll(ctx)
		counter.turns.wait()
		counter.pass(time.Second)
		return counter.why(types.NamespacedName{Namespace: all[0].Namespace, Name: all[0].Name}, "primary")
	}

	if why := look(); !strings.Contains(why, "the CA of Prometheus server metrics, which the platform sets: the CA holds no certificate in PEM") {
		t.Errorf("with no CA in its file: %s", why)
	}
	if queries, _, _ := prometheus.noted(); len(queries) != 0 {
		t.Errorf("it was asked %q", queries)
	}

	write(ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	look()
	queries, tokens, _ := prometheus.noted()
	if want := []string{
		`calls{namespace="rival",tenant="rival"}`, `calls{namespace="shop",tenant="shop"}`, "time()",
		`{__name__=~".+",tenant="rival",tenant="shop"}`, `{__name__=~".+",tenant="shop"}`,
	}; !slices.Equal(queries, want) || !slices.Equal(tokens, []string{"Bearer first"}) {
		t.Errorf("asked with %q\n%q\nwant %q", tokens, queries, want)
	}

	write(token, "second")
	look()
	if _, tokens, callers := prometheus.noted(); !slices.Equal(tokens, []string{"Bearer second"}) || callers > 5 {
		t.Errorf("asked with %q by %d connections", tokens, callers)
	}

	write(token, "\n")
	if why := look(); !strings.Contains(why, "the token of Prometheus server metrics, which the platform sets: "+token+" is empty") {
		t.Errorf("with an empty file: %s", why)
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if why := look(); !strings.Contains(why, "no such file") {
		t.Errorf("without the file: %s", why)
	}
	if queries, _, _ := prometheus.noted(); len(queries) != 0 {
		t.Errorf("without its token it was asked %q", queries)
	}
}
