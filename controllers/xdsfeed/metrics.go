package xdsfeed

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
)

// Collector counts the clients of each ExposedService when it is asked. Each replica has its own clients and
// counts those, so that sums over replicas are right.
type Collector struct{ Feed *Feed }

var (
	xdsClientsDesc = prometheus.NewDesc("headgate_xds_clients",
		"Connected xDS clients that use the ExposedService.", []string{"namespace", "name"}, nil)
	xdsAcknowledgedDesc = prometheus.NewDesc("headgate_xds_clients_acknowledged",
		"Connected xDS clients that have acknowledged everything of the ExposedService that they use, as it is now.", []string{"namespace", "name"}, nil)
	xdsRejectingDesc = prometheus.NewDesc("headgate_xds_clients_rejecting",
		"Connected xDS clients that refuse something of the ExposedService as it is now.", []string{"namespace", "name"}, nil)
	xdsSyncedDesc = prometheus.NewDesc("headgate_xds_synced",
		"Whether this replica knows all ExposedServices and serves clients: 1 if it does, otherwise 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{xdsClientsDesc, xdsAcknowledgedDesc, xdsRejectingDesc, xdsSyncedDesc} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	synced := 0.0
	if c.Feed.isOpen() {
		synced = 1
	}
	out <- prometheus.MustNewConstMetric(xdsSyncedDesc, prometheus.GaugeValue, synced)
	for _, key := range c.Feed.names() {
		status := c.Feed.cache.Status(key)
		for desc, value := range map[*prometheus.Desc]int{
			xdsClientsDesc: status.Clients, xdsAcknowledgedDesc: status.Acked, xdsRejectingDesc: status.Nacked,
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), key.Namespace, key.Name)
		}
	}
}

// names are those of the ExposedServices that are served.
func (f *Feed) names() []types.NamespacedName {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]types.NamespacedName, 0, len(f.catalog.entries))
	for key := range f.catalog.entries {
		out = append(out, key)
	}
	return out
}
