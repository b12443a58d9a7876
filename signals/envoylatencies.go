package signals

// grow is what a proxy's histograms grew by since it was last read, by cluster, by the rules of counters: one that fell has started again.
// It remembers what they are.
func (l *ledger) grow(p *page, baseline bool) map[string]Histogram {
	out := map[string]Histogram{}
	for cluster, now := range p.latencies {
		was := l.latencies[cluster]
		l.latencies[cluster] = now
		if baseline || !l.lookedAt(cluster) {
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
