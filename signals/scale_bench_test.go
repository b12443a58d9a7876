package signals

import (
	"fmt"
	"strings"
	"testing"
)

// manyClusters is the page of a proxy of a shared Gateway: so many clusters, each with 6 endpoints in two priorities.
func manyClusters(n int, tick int) string {
	var b strings.Builder
	for _, outcome := range []string{"rq_error", "rq_success", "rq_total", "rq_active"} {
		fmt.Fprintf(&b, "# TYPE envoy_cluster_endpoint_%s counter\n", outcome)
		for c := range n {
			for e := range 6 {
				fmt.Fprintf(&b, "envoy_cluster_endpoint_%s{envoy_cluster_name=\"grpcroute/tenant-%d/service-%d/rule/0\",envoy_endpoint_address=\"10.%d.%d.%d:50051\"} %d\n",
					outcome, c%40, c, c/250, c%250, e+1, tick*(e+1)+c)
			}
		}
	}
	b.WriteString("# TYPE envoy_cluster_upstream_rq_total counter\n")
	for c := range n {
		fmt.Fprintf(&b, "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"grpcroute/tenant-%d/service-%d/rule/0\"} %d\n", c%40, c, tick*100)
	}
	b.WriteString("# TYPE envoy_cluster_upstream_rq_active gauge\n")
	for c := range n {
		fmt.Fprintf(&b, "envoy_cluster_upstream_rq_active{envoy_cluster_name=\"grpcroute/tenant-%d/service-%d/rule/0\"} %d\n", c%40, c, c%7)
	}
	fmt.Fprintf(&b, "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} %d\n", tick)
	return b.String()
}

func BenchmarkParseSharedPage(b *testing.B) {
	text := []byte(manyClusters(1000, 5))
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := parsePage(text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
