package server

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/headgate/headgate/xds/cache"
)

// metrics are all metrics of this package. Each replica has its own clients and counts those.
type metrics struct {
	// connections are open, streams have shown who they are, by protocol: sotw, delta.
	connections prometheus.Gauge
	streams     *prometheus.GaugeVec
	// responses and bytes are what was sent, by type: CDS, EDS, LDS, RDS.
	responses, bytes *prometheus.CounterVec
	// nacks are responses that clients refused, by type.
	nacks *prometheus.CounterVec
	// latency is from a change of the cache to the response that carries it, in seconds.
	latency prometheus.Histogram
	// expiry is when the certificates of the server end, as seconds since 1970: its own, and the first of the authorities' that sign
	// clients'.
	expiry *prometheus.GaugeVec
	// refused are clients or requests that the server refused, by reason.
	refused *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "headgate_xds_connections",
			Help: "Open connections to the xDS server.",
		}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_xds_streams",
			Help: "Open streams of xDS clients that have said who they are, by protocol (sotw, delta).",
		}, []string{"protocol"}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_xds_pushes_total",
			Help: "Responses sent to xDS clients, by type (CDS, EDS, LDS, RDS).",
		}, []string{"type"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_xds_push_bytes_total",
			Help: "Size of the responses sent to xDS clients, in bytes before encryption, by type.",
		}, []string{"type"}),
		nacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_xds_nacks_total",
			Help: "Responses that xDS clients refused, by type.",
		}, []string{"type"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "headgate_xds_push_latency_seconds",
			Help:    "Time from a change of what is served to the response that carries it to a client, in seconds.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 15},
		}),
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "headgate_xds_certificate_expiry_timestamp_seconds",
			Help: "When a certificate of the xDS server ends, as Unix time: its own (server), or the first to end of those that sign its clients' (client-ca).",
		}, []string{"certificate"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "headgate_xds_refused_total",
			Help: "Connections, streams and requests that the xDS server refused, by reason.",
		}, []string{"reason"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	var problems []error
	for _, c := range []prometheus.Collector{m.connections, m.streams, m.responses, m.bytes, m.nacks, m.latency, m.expiry, m.refused} {
		problems = append(problems, r.Register(c))
	}
	return errors.Join(problems...)
}

func protocolName(p cache.Protocol) string {
	if p == cache.Incremental {
		return "delta"
	}
	return "sotw"
}
