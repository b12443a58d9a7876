package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
)

// platformPrometheus counts a call a second for whatever it is asked, and notes what it is asked.
type platformPrometheus struct {
	mu    sync.Mutex
	asked map[string]bool
}

func (p *platformPrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.FormValue("query")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[string]bool{}
	}
	p.asked[query] = true
	now := time.Now()
	value := now.Unix()
	if strings.HasPrefix(query, "errors") {
		value = 0
	}
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%f,"%d"]}}`, float64(now.UnixMilli())/1000, value)
}

func (p *platformPrometheus) wasAsked(query string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[query]
}

// TestOnlyServersOfThePlatformAreAsked: an address is not, which is said, and what is served stays.
func TestOnlyServersOfThePlatformAreAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	platform, other := &platformPrometheus{}, &platformPrometheus{}
	server, others := httptest.NewServer(platform), httptest.NewServer(other)
	t.Cleanup(server.Close)
	t.Cleanup(others.Close)
	counted := func(source v1alpha1.PrometheusSource) func(*v1alpha1.ExposedService) {
		source.Calls, source.Errors = `calls{backend="{{.Backend}}"}`, `errors{namespace=~".+"}`
		return func(exs *v1alpha1.ExposedService) {
			exs.Spec.Failover = &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{
				MaxPercent: "5", Source: ptr.To(v1alpha1.SourcePrometheus), Prometheus: &source,
			}}
		}
	}
	named := calls.ServersConfig{Named: []calls.Server{{Name: "metrics", Address: server.URL, Label: "namespace"}}}
	first := w.startOperator()
	theirs := w.exposedService("theirs", counted(v1alpha1.PrometheusSource{Address: others.URL}))
	w.create(theirs)
	w.untilReady(theirs)
	w.eventually("an address is asked where that is allowed", func() error {
		return w.conditionIs(theirs, v1alpha1.ConditionSignalsAvailable, metav1.ConditionTrue, v1alpha1.ReasonSourceRead)
	})
	if !other.wasAsked(`errors{namespace=~".+"}`) {
		t.Errorf("it was asked %v", other.asked)
	}
	route := &gwapiv1.GRPCRoute{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: theirs.Name}}
	if err := w.read(route); err != nil {
		t.Fatal(err)
	}
	first.stop()

	w.startOperator(func(config *Config, _ *transport) { config.Prometheus = named })
	w.eventually("it says which servers there are", func() error {
		return w.conditionIs(theirs, v1alpha1.ConditionSignalsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSourceInvalid,
			"spec.failover.errors.prometheus.address: this cluster lets ExposedServices ask only the Prometheus servers that its platform names: "+
				"set server to metrics")
	})
	ours := w.exposedService("ours", counted(v1alpha1.PrometheusSource{Server: "metrics"}))
	w.create(ours)
	w.untilReady(ours)
	w.eventually("the platform's server is asked", func() error {
		return w.conditionIs(ours, v1alpha1.ConditionSignalsAvailable, metav1.ConditionTrue, v1alpha1.ReasonSourceRead)
	})
	for _, query := range []string{
		fmt.Sprintf(`calls{backend="primary",namespace=%q}`, w.namespace), fmt.Sprintf(`errors{namespace=%q,namespace=~".+"}`, w.namespace),
	} {
		if !platform.wasAsked(query) {
			t.Errorf("it was not asked %s, but %v", query, platform.asked)
		}
	}
	w.untilReady(theirs)
	before := route.DeepCopy()
	if err := w.read(route); err != nil || route.UID != before.UID || route.Generation != before.Generation {
		t.Errorf("the route was %+v and is %+v, %v", before, route, err)
	}
}

// TestARolloutDoesNotBeginOnAServerThatMayNotBeAsked: what is wrong is said before it needs the server.
func TestARolloutDoesNotBeginOnAServerThatMayNotBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator(func(config *Config, _ *transport) { config.Prometheus = calls.ServersConfig{} })
	w.create(w.deployment("primary-svc"))
	_, analysis := startSides(t)
	exs := w.exposedService("greeter", shipping("primary-svc"), func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Analysis = &analysis })
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonRolloutNotSupported,
		"spec.rollout.analysis.prometheus.address: this cluster lets ExposedServices ask only", "prometheus.servers")
}
