package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// proxyPages answers for the one proxy of a shop: between two looks stable and canary have finished 500 calls each.
type proxyPages struct{ *shop }

// RoundTrip implements http.RoundTripper.
func (p proxyPages) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	const more = 500
	calls, failed := more*p.looks, map[string]int{}
	if p.badSince > 0 {
		failed[canaryAddress] = more / 2 * (p.looks - p.badSince)
	}
	cluster := fmt.Sprintf("grpcroute/%s/greeter/rule/0", p.w.namespace)
	var page bytes.Buffer
	fmt.Fprintf(&page, "# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name=%q} 1\n", cluster)
	for _, metric := range []struct {
		name string
		of   func(address string) int
	}{
		{"success", func(a string) int { return calls - failed[a] }}, {"error", func(a string) int { return failed[a] }},
	} {
		fmt.Fprintf(&page, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", metric.name)
		for _, address := range []string{stableAddress, canaryAddress} {
			fmt.Fprintf(&page, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n",
				metric.name, cluster, fmt.Sprintf("%s:%d", address, grpcPort), metric.of(address))
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(&page),
	}, nil
}
