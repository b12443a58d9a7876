package loadreport

import (
	"fmt"
	"testing"
	"time"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/headgate/headgate/xds/cache"
)

// BenchmarkReport is a report of an Envoy on a number of ExposedServices with two backends each.
func BenchmarkReport(b *testing.B) {
	for _, services := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			l := newLedger(func(cache.Owner) bool { return true }, time.Minute)
			r := l.connect(shop)
			stats := make([]*endpoint.ClusterStats, 0, services)
			for i := range services {
				ten := Totals{Issued: 10, Succeeded: 7, Failed: 3}
				stats = append(stats, report(fmt.Sprintf("shop/greeter-%d", i), locality("primary", ten), locality("backup", ten)))
			}
			b.ReportAllocs()
			for b.Loop() {
				l.add(r, stats, noon, func(why ignored) { b.Fatal(why) })
			}
		})
	}
}
