package shop

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Counts are what the one proxy of a namespace has counted for the ExposedService: between two looks each ready pod behind the
// primary has finished 500 calls.
type Counts struct {
	workloads *Workloads

	mu sync.Mutex
	// spoiled are the images of which half of the calls fail.
	spoiled map[string]bool
	// finished and failed are calls by address.
	finished, failed map[string]int
}

// NewCounts has no call failed.
func NewCounts(w *Workloads) *Counts {
	return &Counts{workloads: w, spoiled: map[string]bool{}, finished: map[string]int{}, failed: map[string]int{}}
}

// Spoil lets half of the calls of an image's pods fail from now on.
func (c *Counts) Spoil(image string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoiled[image] = true
}

// RoundTrip answers as the proxy's page of statistics does: with the endpoints that there are now. It implements http.RoundTripper.
func (c *Counts) RoundTrip(request *http.Request) (*http.Response, error) {
	images, err := c.workloads.serving(request.Context(), Primary)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	const more = 500
	for address, image := range images {
		c.finished[address] += more
		if c.spoiled[image] {
			c.failed[address] += more / 2
		}
	}
	cluster := fmt.Sprintf("grpcroute/%s/%s/rule/0", c.workloads.namespace, Name)
	var page bytes.Buffer
	fmt.Fprintf(&page, "# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name=%q} 1\n", cluster)
	for _, metric := range []struct {
		name string
		of   func(address string) int
	}{
		{"success", func(a string) int { return c.finished[a] - c.failed[a] }}, {"error", func(a string) int { return c.failed[a] }},
	} {
		fmt.Fprintf(&page, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", metric.name)
		for _, address := range slices.Sorted(maps.Keys(images)) {
			fmt.Fprintf(&page, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n",
				metric.name, cluster, fmt.Sprintf("%s:%d", address, GRPCPort), metric.of(address))
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(&page),
	}, nil
}
