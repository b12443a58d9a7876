package loadreport

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are all metrics of this package. Each replica has its own clients and counts those.
type metrics struct {
	// streams are clients that report.
	streams prometheus.Gauge
	// reports that clients sent.
	reports prometheus.Counter
	// ignored are parts of reports that were not counted, by reason.
	ignored *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "headgate_load_report_streams",
			Help: "Open streams of xDS clients that report their load.",
		}),
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "headgate_load_reports_total",
			Help: "Load reports that xDS clients sent.",
		}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_load_reports_ignored_total",
			Help: "Clusters or localities in load reports that were not counted, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range allIgnored {
		m.ignored.WithLabelValues(string(reason))
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.streams), r.Register(m.reports), r.Register(m.ignored))
}
