package main

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

// row is one thing that was measured.
type row struct {
	// section is under which heading it stands.
	section, name, value string
}

// column is what was measured of one operator.
type column struct {
	name string
	rows []row
}

// result collects rows.
type result struct{ rows []row }

func (r *result) add(section, name, format string, args ...any) {
	r.rows = append(r.rows, row{section: section, name: name, value: fmt.Sprintf(format, args...)})
}

// addRequests adds the requests by kind, for each of count objects; 1: all together.
func (r *result) addRequests(section string, requests rig.Requests, count int) {
	per := func(n int) string {
		if count == 1 {
			return strconv.Itoa(n)
		}
		return fmt.Sprintf("%.2f", float64(n)/float64(count))
	}
	r.add(section, "requests, all", "%s", per(requests.Sum(rig.All)))
	r.add(section, "requests that write", "%s", per(requests.Sum(rig.Writing)))
	r.add(section, "GETs that found nothing", "%s", per(requests.Sum(rig.InVain)))
	for _, request := range requests.Sorted() {
		name := request.Verb + " " + request.Resource
		if request.Code != 0 {
			name += fmt.Sprintf(" → %d", request.Code)
		}
		r.add(section, "· "+name, "%s", per(requests[request]))
	}
}

// table is a table in Markdown with a column for each operator. What one of them has not is empty.
func table(title string, columns []column) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n### %s\n\n| |", title)
	for _, c := range columns {
		fmt.Fprintf(&out, " %s |", c.name)
	}
	out.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, section := range sections(columns) {
		fmt.Fprintf(&out, "| **%s** |%s\n", section, strings.Repeat(" |", len(columns)))
		for _, name := range names(columns, section) {
			fmt.Fprintf(&out, "| %s |", name)
			for _, c := range columns {
				fmt.Fprintf(&out, " %s |", c.value(section, name))
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}

func (c column) value(section, name string) string {
	for _, r := range c.rows {
		if r.section == section && r.name == name {
			return r.value
		}
	}
	return ""
}

// sections are those of all columns, in the order in which they came.
func sections(columns []column) (out []string) {
	for _, c := range columns {
		for _, r := range c.rows {
			if !slices.Contains(out, r.section) {
				out = append(out, r.section)
			}
		}
	}
	return out
}

// names are those of a section: of the first column, and after them what only later ones have.
func names(columns []column, section string) (out []string) {
	for _, c := range columns {
		for _, r := range c.rows {
			if r.section == section && !slices.Contains(out, r.name) {
				out = append(out, r.name)
			}
		}
	}
	return out
}

// introduction says under which circumstances it was measured.
func introduction(o options, now time.Time) string {
	return fmt.Sprintf(`Measured on %s, on %d processors (%s/%s), which etcd, the API server, the sample data plane and the operator share.
Each ExposedService has a Gateway of its own and two backends, with a pod and an EndpointSlice each. Requests are those of the
operator, by the API server's audit log, watches as they start; a verb, a resource, and the status of an answer that is an error.
A failover is timed from before its EndpointSlice is written until a watch of somebody else brings the route. At rest: %s.
`, now.UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, o.idle)
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000)
}

// percentile is the smallest of some durations that at least a share of them do not exceed.
func percentile(durations []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	at := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}
