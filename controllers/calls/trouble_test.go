package calls

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

// hang never answers. Before its body is read, a server does not see that a request has ended.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// says answers a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// TestWhatTheStatusSaysOfASource: for each kind of source, what SignalsAvailable says when it answers garbage, lies about the time, or
// hangs. Nothing else becomes of it: no calls are handed out.
func TestWhatTheStatusSaysOfASource(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	page := func(uptime int, stamp string) http.HandlerFunc {
		return says(fmt.Sprintf("envoy_server_uptime{} %d %s\n", uptime, stamp))
	}
	scalar := func(when time.Time) http.HandlerFunc {
		return says(fmt.Sprintf(`{"status":"success","data":{"resultType":"scalar","result":[%d,"%d"]}}`, when.Unix(), when.Unix()))
	}
	for name, test := range map[string]struct {
		kind   v1alpha1.ErrorSource
		answer http.HandlerFunc
		words  []string
	}{
		"Envoy answers garbage": {
			v1alpha1.SourceEnvoy, says("<html>" + strings.Repeat(secret, 100)), []string{"Garbage", "not Envoy's statistics"},
		},
		"Envoy answers nothing":           {v1alpha1.SourceEnvoy, says(""), []string{"Empty", "no statistics"}},
		"Envoy's statistics are old":      {v1alpha1.SourceEnvoy, page(1, fmt.Sprint(noon.Add(-time.Hour).UnixMilli())), []string{"Time", "1h0m2s old"}},
		"Envoy's statistics are too new":  {v1alpha1.SourceEnvoy, page(1, fmt.Sprint(noon.Add(time.Hour).UnixMilli())), []string{"Time", "59m58s in the future"}},
		"Envoy hangs":                     {v1alpha1.SourceEnvoy, hang, []string{"Unreachable", "no answer in time"}},
		"Envoy fails":                     {v1alpha1.SourceEnvoy, http.NotFound, []string{"Unreachable", "404"}},
		"Prometheus answers garbage":      {v1alpha1.SourcePrometheus, says("<html>" + strings.Repeat(secret, 100)), []string{"Garbage", "not Prometheus's"}},
		"Prometheus's clock is behind":    {v1alpha1.SourcePrometheus, scalar(noon.Add(-time.Hour)), []string{"Time", "1h0m2s behind"}},
		"Prometheus's clock is ahead":     {v1alpha1.SourcePrometheus, scalar(noon.Add(time.Hour)), []string{"Time", "59m58s ahead"}},
		"Prometheus's clock stands still": {v1alpha1.SourcePrometheus, scalar(noon), []string{"Time", "stands still"}},
		"Prometheus hangs":                {v1alpha1.SourcePrometheus, hang, []string{"Unreachable", "no answer in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			c := newCounter(t, func(...types.NamespacedName) {})
			c.config.Scraper = signals.NewScraper(signals.ScraperConfig{Client: c.config.HTTP, Clock: c.config.Clock, Timeout: 500 * time.Millisecond})
			exs := counting("shop", "greeter")
			exs.Spec.Failover.Errors.Source = &test.kind
			if test.kind == v1alpha1.SourcePrometheus {
				exs.Spec.Failover.Errors.Prometheus = &v1alpha1.PrometheusSource{Address: server.URL, Calls: "calls", Errors: "errors"}
			}
			query := signals.Query{
				Cluster:  "grpcroute/shop/greeter/rule/0",
				Backends: []signals.Backend{{Name: "primary"}, {Name: "backup"}},
				Proxies:  []signals.Proxy{{ID: "a", Name: "a", Address: netip.MustParseAddrPort(server.Listener.Addr().String())}},
			}
			c.Watch(exs, func() signals.Query { return query })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 3 {
				c.lookAtAll(ctx)
				c.turns.wait()
				c.pass(time.Second)
			}
			got := c.Condition(exs, "primary")
			if got == nil || got.Reason != string(v1alpha1.ReasonSourceUnknown) {
				t.Fatalf("%+v", got)
			}
			for _, word := range append(test.words, "nothing is decided from errors") {
				if !strings.Contains(got.Message, word) {
					t.Errorf("%q does not say %q", got.Message, word)
				}
			}
			if strings.Count(got.Message, secret) > 4 || len(got.Message) > 400 {
				t.Errorf("it shows %d bytes: %q", len(got.Message), got.Message)
			}
			if taken := c.Take(client.ObjectKeyFromObject(exs)); len(taken) != 0 {
				t.Errorf("it counted %+v", taken)
			}
		})
	}
}
