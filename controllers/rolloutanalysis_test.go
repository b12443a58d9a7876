package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
)

// sidesPrometheus is a server that counts the calls of both sides by itself: some more whenever it is asked what time it is, which is once
// in each look.
type sidesPrometheus struct {
	// clock is the one that an operator has to share: of two that were started one after the other, one is ahead by ten times as much.
	clock fastClock

	mu   sync.Mutex
	down bool
	// looks counts them.
	looks float64
	// canaryFails is the share of the canary's calls that fails; slow: they take ten times as long.
	canaryFails float64
	slow        bool
}

func (p *sidesPrometheus) set(f func(*sidesPrometheus)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *sidesPrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	query, now := r.FormValue("query"), float64(p.clock.Now().UnixMilli())/1000
	if query == "time()" {
		p.looks++
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%f,"%f"]}}`, now, now)
		return
	}
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(p.samples(query, now), ","))
}

// samples answers "calls <side>", "errors <side>" and "latencies <side>": 500 calls in a look to each side.
func (p *sidesPrometheus) samples(query string, now float64) []string {
	what, side, _ := strings.Cut(query, "_")
	calls, failed, fast := 500*p.looks, 0.0, 0.9
	if side == "canary" {
		failed = calls * p.canaryFails
		if p.slow {
			fast = 0.2
		}
	}
	sample := func(labels string, value float64) string {
		return fmt.Sprintf(`{"metric":{%s},"value":[%f,"%.0f"]}`, labels, now, value)
	}
	switch what {
	case "calls":
		return []string{sample("", calls)}
	case "errors":
		return []string{sample("", failed)}
	}
	return []string{
		sample(`"le":"0.01"`, 0), sample(`"le":"0.1"`, calls*fast), sample(`"le":"1"`, calls), sample(`"le":"+Inf"`, calls),
	}
}

// startSides starts the server, and gives an analysis that asks it.
func startSides(t *testing.T) (*sidesPrometheus, v1alpha1.Analysis) {
	t.Helper()
	p := &sidesPrometheus{clock: newFastClock()}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, v1alpha1.Analysis{
		Prometheus: &v1alpha1.AnalysisQueries{
			Address: server.URL, Calls: "calls_{{.Side}}", Errors: "errors_{{.Side}}", Latencies: ptr.To("latencies_{{.Side}}"),
		},
		Errors: &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}},
	}
}

func stepping(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutStepping }

func rolledBack(status v1alpha1.RolloutStatus) bool { return status.Failed != nil }

func TestABadCanaryIsRolledBackOnCountsOfPrometheus(t *testing.T) {
	server, analysis := startSides(t)
	server.canaryFails = 0.2
	p := startPlay(t, analysis, inHaste(server.clock))
	p.ship()
	p.untilIs("the rollback", rolledBack)
	failed := p.exs.Status.Rollout.Failed
	if failed.Reason != rollout.FailureWorse || !strings.Contains(failed.Message, "counted by Prometheus") {
		t.Errorf("failed: %+v", failed)
	}
}

func TestASlowCanaryIsRolledBackOnLatenciesOfPrometheus(t *testing.T) {
	server, analysis := startSides(t)
	server.slow = true
	analysis.Latency = &v1alpha1.LatencyTolerance{}
	p := startPlay(t, analysis, inHaste(server.clock))
	p.ship()
	p.untilIs("the rollback", rolledBack)
	evidence := p.exs.Status.Rollout.Evidence
	if evidence == nil || evidence.Latency == nil || !strings.Contains(evidence.Latency.Canary, "p99 ") {
		t.Fatalf("evidence: %+v", evidence)
	}
	if failed := p.exs.Status.Rollout.Failed; failed.Reason != rollout.FailureWorse || !strings.Contains(failed.Message, evidence.Latency.Stable) {
		t.Errorf("failed: %+v", failed)
	}
}

func TestARolloutHoldsWhilePrometheusIsDownAndGoesOnAfterwards(t *testing.T) {
	server, analysis := startSides(t)
	server.down = true
	p := startPlay(t, analysis, inHaste(server.clock))
	p.ship()
	p.untilIs("the first step", stepping)
	p.eventually("it says why it holds", func() error {
		return p.conditionIs(p.exs, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.Reason(v1alpha1.RolloutStepping),
			"the calls cannot be counted", "Unreachable")
	})
	server.set(func(s *sidesPrometheus) { s.down = false })
	p.untilIs("the second step", func(status v1alpha1.RolloutStatus) bool { return stepping(status) && status.Step == 2 })
}

func TestWithoutLatenciesARolloutThatAsksForThemHolds(t *testing.T) {
	server, analysis := startSides(t)
	analysis.Prometheus.Latencies = nil
	analysis.Latency = &v1alpha1.LatencyTolerance{}
	p := startPlay(t, analysis, inHaste(server.clock))
	p.ship()
	p.untilIs("the first step", stepping)
	p.eventually("it says what is missing", func() error {
		return p.conditionIs(p.exs, v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.Reason(v1alpha1.RolloutStepping),
			"analysis.latency is set", "analysis.prometheus.latencies")
	})
}

func TestAQueryThatIsNoneIsSaidBeforeARolloutNeedsIt(t *testing.T) {
	server, analysis := startSides(t)
	analysis.Prometheus.Errors = "errors_{{.Backend}}"
	p := startPlay(t, analysis, inHaste(server.clock))
	p.untilNotAccepted(p.exs, v1alpha1.ReasonRolloutNotSupported, "spec.rollout.analysis.prometheus: errors:", "{{.Side}}", "{{.Workload}}")
}
