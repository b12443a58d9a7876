package shop

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Counts are what the one proxy of a namespace has counted for the ExposedService: between two looks stable and canary have finished
// 500 calls each.
type Counts struct {
	namespace string

	mu sync.Mutex
	// looks are how often it was asked.
	looks int
	// badSince is the look since which half of the canary's calls fail; 0: none do.
	badSince int
}

// NewCounts has no call failed.
func NewCounts(namespace string) *Counts { return &Counts{namespace: namespace} }

// SpoilCanary lets half of the canary's calls fail from now on.
func (c *Counts) SpoilCanary() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.badSince = max(c.looks, 1)
}

// RoundTrip answers as the proxy's page of statistics does. It implements http.RoundTripper.
func (c *Counts) RoundTrip(request *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	const more = 500
	calls, failed, stable := more*c.looks, map[string]int{}, Address(0, 1)
	if c.badSince > 0 {
		failed[CanaryAddress] = more / 2 * (c.looks - c.badSince)
	}
	cluster := fmt.Sprintf("grpcroute/%s/%s/rule/0", c.namespace, Name)
	var page bytes.Buffer
	fmt.Fprintf(&page, "# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name=%q} 1\n", cluster)
	for _, metric := range []struct {
		name string
		of   func(address string) int
	}{
		{"success", func(a string) int { return calls - failed[a] }}, {"error", func(a string) int { return failed[a] }},
	} {
		fmt.Fprintf(&page, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", metric.name)
		for _, address := range []string{stable, CanaryAddress} {
			fmt.Fprintf(&page, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n",
				metric.name, cluster, fmt.Sprintf("%s:%d", address, GRPCPort), metric.of(address))
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(&page),
	}, nil
}
