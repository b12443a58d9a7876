package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/webhook"
)

// Metrics are all metrics of the controllers. Counters count since the start of the process; only the
// leader reconciles, so that only its counters move.
type Metrics struct {
	// Applies counts objects applied, by kind and result: created, changed, corrected, failed.
	Applies *prometheus.CounterVec
	// Removals counts objects removed because they are no longer wanted, by kind and result.
	Removals *prometheus.CounterVec
	// Drift counts foreign changes that were put back, by kind.
	Drift *prometheus.CounterVec
	// Reconciles measures one run for one ExposedService, in seconds, by result: success, error.
	Reconciles *prometheus.HistogramVec
	// Lookups counts look-ups of hosts of fqdn backends, by result: success, error.
	Lookups *prometheus.CounterVec
	// Decisions counts failover decisions, by reason.
	Decisions *prometheus.CounterVec
	// DecisionLatency measures the time from the event that a decision follows to the objects that
	// follow the decision, in seconds.
	DecisionLatency prometheus.Histogram
	// Looks counts looks at sources of call counts, by source and result: success, error.
	Looks *prometheus.CounterVec
	// LastLook is when a source was last read, in seconds since the epoch, by ExposedService and source.
	LastLook *prometheus.GaugeVec
	// Scrapes counts requests to proxies for their statistics, by result: success, error.
	Scrapes *prometheus.CounterVec
	// Webhooks counts questions to the webhooks of rollouts, by result: agreed, declined, unanswered.
	Webhooks *prometheus.CounterVec
	// KindsServed is 1 for each optional kind that the cluster has, and 0 for each that it lacks.
	KindsServed *prometheus.GaugeVec
}

// New makes the metrics; Register serves them.
func New() *Metrics {
	return &Metrics{
		Applies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_applies_total",
			Help: "Objects applied, by kind and result (created, changed, corrected, failed). Nothing is applied that is already as it should be.",
		}, []string{"kind", "result"}),
		Removals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_removals_total",
			Help: "Objects removed because they are no longer wanted, by kind and result (removed, failed).",
		}, []string{"kind", "result"}),
		Drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_drift_corrections_total",
			Help: "Objects that somebody else had changed and that were put back, by kind.",
		}, []string{"kind"}),
		Reconciles: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "headgate_reconcile_duration_seconds",
			Help: "Time that one run for one ExposedService takes, in seconds, by result (success, error).",
			// A run without writes takes about a millisecond, each write some more; a minute is its limit.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"result"}),
		Lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_host_lookups_total",
			Help: "Look-ups of the host names of fqdn backends, by result (success, error).",
		}, []string{"result"}),
		Decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_decisions_total",
			Help: "Failover decisions, by reason (SwitchedToBackup, HandingBack, HandedBack, ...).",
		}, []string{"reason"}),
		DecisionLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "headgate_decision_latency_seconds",
			Help:    "Time from the event that a decision follows (an EndpointSlice, as a rule) to the route that follows the decision, in seconds.",
			Buckets: []float64{.0025, .005, .01, .015, .02, .03, .05, .075, .1, .25, .5, 1, 5},
		}),
		Looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_source_looks_total",
			Help: "Looks at sources of call counts, by source (Envoy, Prometheus) and result (success, error).",
		}, []string{"source", "result"}),
		LastLook: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_source_last_success_timestamp_seconds",
			Help: "When a source of call counts was last read, in seconds since the epoch, by ExposedService and source.",
		}, []string{"namespace", "name", "source"}),
		Scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_proxy_scrapes_total",
			Help: "Requests to proxies for their statistics, one for all ExposedServices of a Gateway, by result (success, error).",
		}, []string{"result"}),
		Webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_webhook_questions_total",
			Help: "Questions to the webhooks of rollouts, by result (agreed, declined, unanswered).",
		}, []string{"result"}),
		KindsServed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_kind_served",
			Help: "Whether the cluster has an optional kind that Headgate uses: 1 if it does, otherwise 0.",
		}, []string{"group", "version", "kind"}),
	}
}

// Register has a registry serve them. reader is the cache, from which conditions and decisions are told.
func (m *Metrics) Register(registerer prometheus.Registerer, reader client.Reader) error {
	m.startAtZero()
	for _, collector := range []prometheus.Collector{
		m.Applies, m.Removals, m.Drift, m.Reconciles, m.Lookups, m.Webhooks, m.KindsServed,
		m.Decisions, m.DecisionLatency, m.Looks, m.LastLook, m.Scrapes, &conditionCollector{reader: reader}, &trafficCollector{reader: reader},
	} {
		if err := registerer.Register(collector); err != nil {
			return err
		}
	}
	return nil
}

// CountApply counts an object that was applied, or could not be.
func (m *Metrics) CountApply(kind, result string) {
	m.Applies.WithLabelValues(kind, result).Inc()
}

// CountRemoval counts an object that was removed, or could not be.
func (m *Metrics) CountRemoval(kind, result string) {
	m.Removals.WithLabelValues(kind, result).Inc()
}

// CountDrift counts an object that somebody else had changed.
func (m *Metrics) CountDrift(kind string) {
	m.Drift.WithLabelValues(kind).Inc()
}

// CountLookup counts a look-up of a host.
func (m *Metrics) CountLookup(err error) {
	m.Lookups.WithLabelValues(outcome(err)).Inc()
}

// CountDecision counts a decision.
func (m *Metrics) CountDecision(reason v1alpha1.DecisionReason) {
	m.Decisions.WithLabelValues(string(reason)).Inc()
}

// Results of a question to a webhook.
const (
	WebhookAgreed     = "agreed"
	WebhookDeclined   = "declined"
	WebhookUnanswered = "unanswered"
)

// CountWebhook counts a question to a webhook.
func (m *Metrics) CountWebhook(answer webhook.Answer) {
	result := WebhookUnanswered
	switch {
	case answer.Agrees:
		result = WebhookAgreed
	case answer.Answered:
		result = WebhookDeclined
	}
	m.Webhooks.WithLabelValues(result).Inc()
}

// ObserveLook takes in a look at a source for one ExposedService.
func (m *Metrics) ObserveLook(key types.NamespacedName, source signals.Source, err error) {
	m.Looks.WithLabelValues(source.Name(), outcome(err)).Inc()
	if last := source.Health().LastSuccess; !last.IsZero() {
		m.LastLook.WithLabelValues(key.Namespace, key.Name, source.Name()).Set(float64(last.UnixMilli()) / 1000)
	}
}

// ObserveScrape takes in a request to a proxy for its statistics.
func (m *Metrics) ObserveScrape(err error) {
	m.Scrapes.WithLabelValues(outcome(err)).Inc()
}

// ForgetLooks drops what is told of the sources of an ExposedService.
func (m *Metrics) ForgetLooks(key types.NamespacedName) {
	m.LastLook.DeletePartialMatch(prometheus.Labels{"namespace": key.Namespace, "name": key.Name})
}

// ObserveReconcile takes in how long a run took.
func (m *Metrics) ObserveReconcile(d time.Duration, err error) {
	m.Reconciles.WithLabelValues(outcome(err)).Observe(d.Seconds())
}

// SetServed says whether the cluster has an optional kind.
func (m *Metrics) SetServed(gvk schema.GroupVersionKind, served bool) {
	value := 0.0
	if served {
		value = 1
	}
	m.KindsServed.WithLabelValues(gvk.Group, gvk.Version, gvk.Kind).Set(value)
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
