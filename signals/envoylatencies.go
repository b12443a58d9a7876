package signals

import (
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// suffixTime ends the name of Envoy's histogram of how long the calls of a cluster took, in milliseconds. There is none by endpoint.
const suffixTime = "_cluster_upstream_rq_time"

// addTime takes the latencies of a cluster.
func (p *page) addTime(name string, metric *dto.Metric) error {
	histogram := metric.GetHistogram()
	cluster, _ := labelOf(metric, labelCluster)
	if histogram == nil || cluster == "" || !strings.HasSuffix(name, suffixTime) {
		return nil
	}
	var buckets []cumulative
	for _, b := range histogram.GetBucket() {
		buckets = append(buckets, cumulative{b.GetUpperBound() / 1000, float64(b.GetCumulativeCount())})
	}
	found, err := classic(buckets)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, cluster, err)
	}
	p.latencies[cluster] = found
	return nil
}

// grow is what a proxy's histograms grew by since it was last read, by cluster, by the rules of counters: one that fell has started again.
// It remembers what they are.
func (l *ledger) grow(p *page, baseline bool) map[string]Histogram {
	out := map[string]Histogram{}
	for cluster, now := range p.latencies {
		was := l.latencies[cluster]
		l.latencies[cluster] = now
		if baseline || !l.clusters[cluster] {
			continue
		}
		grown, fell := now.minus(was)
		if fell {
			grown = now
		}
		out[cluster] = grown
	}
	return out
}

// addLatencies counts those of clusters that are one backend's alone.
func (l *look) addLatencies(grown map[string]Histogram) {
	for cluster, latencies := range grown {
		if owner := l.owned[cluster]; owner != "" {
			l.latencies[owner] = l.latencies[owner].Plus(latencies)
			l.timed[owner] = true
		}
	}
}

// latenciesOf are those of a backend, or why there are none.
func (l *look) latenciesOf(backend string) (Histogram, string) {
	switch {
	case l.timed[backend]:
		return l.latencies[backend], ""
	case len(l.timed) > 0:
		return nil, "" // Its cluster has had no call yet.
	}
	return nil, latenciesShared
}
