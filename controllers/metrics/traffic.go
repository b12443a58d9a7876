package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// trafficCollector reports the decisions and conditions that the statuses hold when it is asked, from
// the cache, so that every replica reports the same and nothing is left of an ExposedService that is gone.
type trafficCollector struct{ reader client.Reader }

var backendLabels = []string{"namespace", "name", "backend"}

var (
	activeDesc = prometheus.NewDesc("headgate_backend_active",
		"Whether a backend serves: 1 if it does, otherwise 0.", backendLabels, nil)
	weightDesc = prometheus.NewDesc("headgate_backend_weight_ratio",
		"The share of the calls that a backend is to get, from 0 to 1.", backendLabels, nil)
	healthyDesc = prometheus.NewDesc("headgate_backend_healthy",
		"Whether a backend is healthy: 1 if it is, 0 if it is down. There is no series while that is unknown.", backendLabels, nil)
	readyDesc = prometheus.NewDesc("headgate_backend_ready_endpoints",
		"The number of a backend's endpoints that are ready.", backendLabels, nil)
	lastDecisionDesc = prometheus.NewDesc("headgate_last_decision_timestamp_seconds",
		"When the traffic was last decided anew, in seconds since the epoch.", []string{"namespace", "name", "reason"}, nil)
	// One series for each condition that there is, and none for the statuses and reasons that it does not
	// have: an ExposedService has at most nine, whatever happens to it.
	conditionDesc = prometheus.NewDesc("headgate_exposedservice_condition",
		"1 for the status (True, False, Unknown) and the reason that each condition of an ExposedService has.",
		[]string{"namespace", "name", "condition", "status", "reason"}, nil)
)

// Describe implements prometheus.Collector.
func (c *trafficCollector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{activeDesc, weightDesc, healthyDesc, readyDesc, lastDecisionDesc, conditionDesc} {
		out <- desc
	}
	for _, desc := range rolloutDescs {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *trafficCollector) Collect(out chan<- prometheus.Metric) {
	// The cache answers from memory, or fails at once when it has not started.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var list v1alpha1.ExposedServiceList
	if err := c.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	for i := range list.Items {
		exs := &list.Items[i]
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			labels = append([]string{exs.Namespace, exs.Name}, labels...)
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
		}
		for _, condition := range exs.Status.Conditions {
			gauge(conditionDesc, 1, condition.Type, string(condition.Status), condition.Reason)
		}
		collectTraffic(exs, gauge)
		collectRollout(exs, gauge)
	}
}

func collectTraffic(exs *v1alpha1.ExposedService, gauge func(desc *prometheus.Desc, value float64, labels ...string)) {
	traffic := exs.Status.Traffic
	if traffic == nil {
		return
	}
	gauge(lastDecisionDesc, float64(traffic.Time.UnixMilli())/1000, string(traffic.Reason))
	for _, weight := range traffic.Weights {
		gauge(weightDesc, float64(weight.Weight)/1e6, weight.Name)
	}
	for _, b := range exs.Status.Backends {
		gauge(activeDesc, truth(b.Name == exs.Status.Active), b.Name)
		if b.Health == v1alpha1.BackendHealthy || b.Health == v1alpha1.BackendDown {
			gauge(healthyDesc, truth(b.Health == v1alpha1.BackendHealthy), b.Name)
		}
		if b.Ready != nil {
			gauge(readyDesc, float64(*b.Ready), b.Name)
		}
	}
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// decisionReasons are all reasons of decisions.
var decisionReasons = []v1alpha1.DecisionReason{
	v1alpha1.DecisionInitial, v1alpha1.DecisionSwitchedToBackup, v1alpha1.DecisionTryingBackup, v1alpha1.DecisionBackupNoBetter,
	v1alpha1.DecisionKeptBack, v1alpha1.DecisionHandingBack, v1alpha1.DecisionHandedBack, v1alpha1.DecisionPinned, v1alpha1.DecisionNoBackendUp,
	v1alpha1.DecisionSpecChanged, v1alpha1.DecisionSwitchHeld, v1alpha1.DecisionNetChanged,

	v1alpha1.DecisionRolloutAdded, v1alpha1.DecisionRolloutWithdrawn, v1alpha1.DecisionRolloutRemoved,
	v1alpha1.DecisionStableAdopted, v1alpha1.DecisionStableForgotten, v1alpha1.DecisionFailureCleared, v1alpha1.DecisionPodsTakenBack,
	v1alpha1.DecisionRolloutStarted, v1alpha1.DecisionStepsChosen, v1alpha1.DecisionStepStarted, v1alpha1.DecisionStepPassed, v1alpha1.DecisionStepAltered,
	v1alpha1.DecisionStepDoubted, v1alpha1.DecisionStepAdvanced, v1alpha1.DecisionApprovalAwaited, v1alpha1.DecisionCanaryLost,
	v1alpha1.DecisionCanaryDropped, v1alpha1.DecisionPromotionStarted, v1alpha1.DecisionProofWaived,
	v1alpha1.DecisionRolloutReleased, v1alpha1.DecisionRestartReleased, v1alpha1.DecisionRolloutUpgraded, v1alpha1.DecisionPromoted, v1alpha1.DecisionSwapAwaited,
	v1alpha1.DecisionSwapped, v1alpha1.DecisionShareHandedOver, v1alpha1.DecisionRolloutFinished,
	v1alpha1.DecisionRolloutFailed, v1alpha1.DecisionRolloutReplaced, v1alpha1.DecisionRolloutReverted,
	v1alpha1.DecisionWorkloadDeleted, v1alpha1.DecisionRollbackFinished, v1alpha1.DecisionRolloutSuspended,
	v1alpha1.DecisionRolloutResumed, v1alpha1.DecisionCanarySuspected, v1alpha1.DecisionCanaryRechecked,
}

// startAtZero makes the series of those counters whose label values are known. A counter that begins
// with its first increase has nothing to increase from: rate() and increase() would miss that event.
func (m *Metrics) startAtZero() {
	for _, reason := range decisionReasons {
		m.Decisions.WithLabelValues(string(reason))
	}
	for _, result := range []string{"success", "error"} {
		for _, source := range []v1alpha1.ErrorSource{v1alpha1.SourceEnvoy, v1alpha1.SourcePrometheus, v1alpha1.SourceLoadReports} {
			m.Looks.WithLabelValues(string(source), result)
		}
		m.Looks.WithLabelValues(string(v1alpha1.AnalysisWorkload), result)
		m.Scrapes.WithLabelValues(result)
		m.Lookups.WithLabelValues(result)
		m.Reconciles.WithLabelValues(result)
	}
	for _, result := range []string{WebhookAgreed, WebhookDeclined, WebhookUnanswered} {
		m.Webhooks.WithLabelValues(result)
	}
}
