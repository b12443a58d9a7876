package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// table is what was measured with a number of services, in Markdown.
func table(services int, o options, rows []row) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d services: from an EndpointSlice to Envoy\n\n", services)
	fmt.Fprintf(&out, "| | one change: p50 | p99 | all at once: p50 | last | %d a second: p50 | p99 | last | processor time per change |\n|---|---|---|---|---|---|---|---|---|\n", o.perSecond)
	for _, r := range rows {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.says,
			at(r.single, 50), at(r.single, 99), at(r.burst, 50), at(r.burst, 100), at(r.churn, 50), at(r.churn, 99), at(r.churn, 100),
			fmt.Sprintf("Envoy Gateway %s, Headgate %s", milliseconds(r.cpu["Envoy Gateway"]), milliseconds(r.cpu["Headgate"])))
	}
	return out.String()
}

// at is a percentile of a list in order, by nearest rank.
func at(sorted []time.Duration, percent float64) string {
	if len(sorted) == 0 {
		return "-"
	}
	return milliseconds(load.Percentile(sorted, percent))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
