package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/webhook"
)

// metrics are all metrics of this package. Counters count since the start of the process; only the
// leader reconciles, so that only its counters move.
type metrics struct {
	// applies counts objects applied, by kind and result: created, changed, corrected, failed.
	applies *prometheus.CounterVec
	// removals counts objects removed because they are no longer wanted, by kind and result.
	removals *prometheus.CounterVec
	// drift counts foreign changes that were put back, by kind.
	drift *prometheus.CounterVec
	// reconciles measures one run for one ExposedService, in seconds, by result: success, error.
	reconciles *prometheus.HistogramVec
	// lookups counts look-ups of hosts of fqdn backends, by result: success, error.
	lookups *prometheus.CounterVec
	// decisions counts failover decisions, by reason.
	decisions *prometheus.CounterVec
	// decisionLatency measures the time from the event that a decision follows to the objects that
	// follow the decision, in seconds.
	decisionLatency prometheus.Histogram
	// looks counts looks at sources of call counts, by source and result: success, error.
	looks *prometheus.CounterVec
	// lastLook is when a source was last read, in seconds since the epoch, by ExposedService and source.
	lastLook *prometheus.GaugeVec
	// scrapes counts requests to proxies for their statistics, by result: success, error.
	scrapes *prometheus.CounterVec
	// webhooks counts questions to the webhooks of rollouts, by result: agreed, declined, unanswered.
	webhooks *prometheus.CounterVec
	// kinds is 1 for each optional kind that the cluster has, and 0 for each that it lacks.
	kinds *prometheus.GaugeVec
}

func newMetrics() *metrics {
	return &metrics{
		applies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_applies_total",
			Help: "Objects applied, by kind and result (created, changed, corrected, failed). Nothing is applied that is already as it should be.",
		}, []string{"kind", "result"}),
		removals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_removals_total",
			Help: "Objects removed because they are no longer wanted, by kind and result (removed, failed).",
		}, []string{"kind", "result"}),
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_drift_corrections_total",
			Help: "Objects that somebody else had changed and that were put back, by kind.",
		}, []string{"kind"}),
		reconciles: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headgate_reconcile_duration_seconds",
			Help: "Time that one run for one ExposedService takes, in seconds, by result (success, error).",
			// A run without writes takes about a millisecond, each write some more; a minute is its limit.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"result"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_host_lookups_total",
			Help: "Look-ups of the host names of fqdn backends, by result (success, error).",
		}, []string{"result"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_decisions_total",
			Help: "Failover decisions, by reason (SwitchedToBackup, HandingBack, HandedBack, ...).",
		}, []string{"reason"}),
		decisionLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "headgate_decision_latency_seconds",
			Help:    "Time from the event that a decision follows (an EndpointSlice, as a rule) to the route that follows the decision, in seconds.",
			Buckets: []float64{.0025, .005, .01, .015, .02, .03, .05, .075, .1, .25, .5, 1, 5},
		}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_source_looks_total",
			Help: "Looks at sources of call counts, by source (Envoy, Prometheus) and result (success, error).",
		}, []string{"source", "result"}),
		lastLook: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_source_last_success_timestamp_seconds",
			Help: "When a source of call counts was last read, in seconds since the epoch, by ExposedService and source.",
		}, []string{"namespace", "name", "source"}),
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_proxy_scrapes_total",
			Help: "Requests to proxies for their statistics, one for all ExposedServices of a Gateway, by result (success, error).",
		}, []string{"result"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_webhook_questions_total",
			Help: "Questions to the webhooks of rollouts, by result (agreed, declined, unanswered).",
		}, []string{"result"}),
		kinds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_kind_served",
			Help: "Whether the cluster has an optional kind that Headgate uses: 1 if it does, otherwise 0.",
		}, []string{"group", "version", "kind"}),
	}
}

func (m *metrics) register(registerer prometheus.Registerer, reader client.Reader) error {
	m.startAtZero()
	for _, collector := range []prometheus.Collector{
		m.applies, m.removals, m.drift, m.reconciles, m.lookups, m.webhooks, m.kinds,
		m.decisions, m.decisionLatency, m.looks, m.lastLook, m.scrapes, &conditionCollector{reader: reader}, &trafficCollector{reader: reader},
	} {
		if err := registerer.Register(collector); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) countApply(kind, result string) {
	m.applies.WithLabelValues(kind, result).Inc()
}

func (m *metrics) countRemoval(kind, result string) {
	m.removals.WithLabelValues(kind, result).Inc()
}

func (m *metrics) countDrift(kind string) {
	m.drift.WithLabelValues(kind).Inc()
}

func (m *metrics) countLookup(err error) {
	m.lookups.WithLabelValues(outcome(err)).Inc()
}

func (m *metrics) countDecision(reason v1alpha1.DecisionReason) {
	m.decisions.WithLabelValues(string(reason)).Inc()
}

// Results of a question to a webhook.
const (
	webhookAgreed     = "agreed"
	webhookDeclined   = "declined"
	webhookUnanswered = "unanswered"
)

func (m *metrics) countWebhook(answer webhook.Answer) {
	result := webhookUnanswered
	switch {
	case answer.Agrees:
		result = webhookAgreed
	case answer.Answered:
		result = webhookDeclined
	}
	m.webhooks.WithLabelValues(result).Inc()
}

// ObserveLook takes in a look at a source for one ExposedService.
func (m *metrics) ObserveLook(key types.NamespacedName, source signals.Source, err error) {
	m.looks.WithLabelValues(source.Name(), outcome(err)).Inc()
	if last := source.Health().LastSuccess; !last.IsZero() {
		m.lastLook.WithLabelValues(key.Namespace, key.Name, source.Name()).Set(float64(last.UnixMilli()) / 1000)
	}
}

func (m *metrics) observeScrape(err error) {
	m.scrapes.WithLabelValues(outcome(err)).Inc()
}

// ForgetLooks implements calls.Metrics.
func (m *metrics) ForgetLooks(key types.NamespacedName) {
	m.lastLook.DeletePartialMatch(prometheus.Labels{"namespace": key.Namespace, "name": key.Name})
}

func (m *metrics) observeReconcile(d time.Duration, err error) {
	m.reconciles.WithLabelValues(outcome(err)).Observe(d.Seconds())
}

func (m *metrics) setServed(k kind, served bool) {
	value := 0.0
	if served {
		value = 1
	}
	m.kinds.WithLabelValues(k.gvk.Group, k.gvk.Version, k.gvk.Kind).Set(value)
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "success"
}

// conditionCollector counts ExposedServices by their conditions when it is asked, from the cache:
// a gauge that is kept by hand would be wrong after every deletion that is missed. Every replica
// reports the same numbers.
type conditionCollector struct{ reader client.Reader }

var exposedServicesDesc = prometheus.NewDesc("headgate_exposedservices",
	"ExposedServices, by the status (True, False, Unknown) of each of their conditions.", []string{"condition", "status"}, nil)

// Describe implements prometheus.Collector.
func (c *conditionCollector) Describe(out chan<- *prometheus.Desc) { out <- exposedServicesDesc }

// Collect implements prometheus.Collector.
func (c *conditionCollector) Collect(out chan<- prometheus.Metric) {
	// The cache answers from memory, or fails at once when it has not started.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var list v1alpha1.ExposedServiceList
	if err := c.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	type series struct{ condition, status string }
	counts := map[series]float64{}
	for i := range list.Items {
		for _, condition := range list.Items[i].Status.Conditions {
			counts[series{condition.Type, string(condition.Status)}]++
		}
	}
	for s, count := range counts {
		out <- prometheus.MustNewConstMetric(exposedServicesDesc, prometheus.GaugeValue, count, s.condition, s.status)
	}
}
