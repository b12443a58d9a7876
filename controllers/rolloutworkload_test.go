package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/test/shop"
)

// podMetrics stands for the pods of both sides: whoever asks a pod's address is answered by it. Each page has 500 calls more than the last.
type podMetrics struct {
	// server is where requests go instead.
	server string
	mu     sync.Mutex
	pages  map[string]int
	// code is what a fifth of the canary's calls end with.
	code string
}

// RoundTrip implements http.RoundTripper.
func (p *podMetrics) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.URL.Host
	r = r.Clone(r.Context())
	r.URL.Host = p.server
	r.Header.Set("Asked", asked)
	return http.DefaultTransport.RoundTrip(r)
}

func (p *podMetrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := r.Header.Get("Asked")
	if r.URL.Path != "/stats" || !strings.HasSuffix(asked, ":8080") {
		http.Error(w, "nothing here", http.StatusNotFound)
		return
	}
	p.pages[asked]++
	calls, failed := 500*p.pages[asked], 0
	if strings.HasPrefix(asked, shop.CanaryAddress) {
		failed = calls / 5
	}
	_, _ = fmt.Fprintf(w, "grpc_server_handled_total{grpc_code=\"OK\"} %d\ngrpc_server_handled_total{grpc_code=%q} %d\n", calls-failed, p.code, failed)
}

// startPods starts them. The Service of the first backend names the port of the metrics.
func startPods(t *testing.T, code string) (analysis v1alpha1.Analysis, option operatorOption) {
	t.Helper()
	p := &podMetrics{pages: map[string]int{}, code: code}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.server = server.Listener.Addr().String()
	return v1alpha1.Analysis{
		Workload: &v1alpha1.WorkloadMetrics{Port: intstr.FromString("metrics"), Path: ptr.To("/stats")},
		Errors:   &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}},
	}, func(config *Config, _ *transport) { config.Transport = p }
}

// showMetrics gives the Service of the first backend a port of metrics.
func (p *play) showMetrics() {
	p.t.Helper()
	edit(p.world, p.service(shop.Primary), func(service *corev1.Service) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "metrics", Port: 8080})
	})
}

func TestABadCanaryIsRolledBackOnWhatItsPodsShow(t *testing.T) {
	analysis, option := startPods(t, "Internal")
	p := startPlay(t, analysis, option)
	p.showMetrics()
	p.ship()
	p.untilIs("the rollback", rolledBack)
	if failed := p.exs.Status.Rollout.Failed; failed.Reason != rollout.FailureWorse || !strings.Contains(failed.Message, "counted by Workload") {
		t.Errorf("failed: %+v", failed)
	}
}

func TestCodesThatSomebodyChoseDecideWhatABadCanaryIs(t *testing.T) {
	analysis, option := startPods(t, "NotFound")
	analysis.Errors.Codes = []v1alpha1.GRPCCode{"Internal", "NotFound"}
	p := startPlay(t, analysis, option)
	p.showMetrics()
	p.ship()
	p.untilIs("the rollback", rolledBack)
}

func TestAPortThatTheServiceDoesNotHaveHolds(t *testing.T) {
	analysis, option := startPods(t, "Internal")
	p := startPlay(t, analysis, option)
	p.ship()
	p.untilIs("the first step", stepping)
	p.eventually("it says what is missing", func() error {
		return p.conditionIs(p.exs, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.Reason(v1alpha1.RolloutStepping),
			"no port named metrics")
	})
}

func TestWhatASourceDoesNotKnowIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	w.create(w.deployment("primary-svc"))
	_, queries := startSides(t)
	codes := &v1alpha1.ErrorTolerance{Codes: []v1alpha1.GRPCCode{"Internal"}}
	for name, c := range map[string]struct {
		analysis v1alpha1.Analysis
		words    []string
	}{
		"codes-of-envoy":      {v1alpha1.Analysis{Errors: codes}, []string{"spec.rollout.analysis.errors.codes", "Workload"}},
		"latency-of-envoy":    {v1alpha1.Analysis{Latency: &v1alpha1.LatencyTolerance{}}, []string{"spec.rollout.analysis.latency", "Workload"}},
		"codes-of-prometheus": {v1alpha1.Analysis{Errors: codes, Prometheus: queries.Prometheus}, []string{"errors.codes", "query"}},
	} {
		exs := w.exposedService(name, shipping("primary-svc"), func(exs *v1alpha1.ExposedService) {
			exs.Spec.Rollout.Analysis = &c.analysis
		})
		w.create(exs)
		w.untilNotAccepted(exs, v1alpha1.ReasonRolloutNotSupported, c.words...)
		w.delete(exs)
		w.eventually("it is gone", func() error { return gone(w, exs) })
	}
}
