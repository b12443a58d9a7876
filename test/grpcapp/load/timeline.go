package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Buckets cuts the run into intervals. A call is in the bucket of the time it was due,
// whenever it ended. An interval of 0 means one second.
func (r Report) Buckets(interval time.Duration) []Bucket {
	if interval <= 0 {
		interval = time.Second
	}
	count := 0
	for _, call := range r.recording.calls {
		count = max(count, int(call.due/interval)+1)
	}
	for _, mark := range r.recording.marks {
		count = max(count, int(mark.at/interval)+1)
	}
	calls := make([][]record, count)
	for _, call := range r.recording.calls {
		index := call.due / interval
		calls[index] = append(calls[index], call)
	}
	buckets := make([]Bucket, count)
	for i := range buckets {
		buckets[i] = newBucket(r.recording, calls[i], r.group)
		buckets[i].Offset = time.Duration(i) * interval
	}
	for _, mark := range r.recording.marks {
		bucket := &buckets[mark.at/interval]
		bucket.Marks = append(bucket.Marks, Mark{At: mark.at, Label: mark.label})
	}
	return buckets
}

// Timeline prints a line for each interval (0 means a second): when it began, in
// seconds from the start of the run, its calls and failed calls, the p99 latency of
// those that succeeded, and each party's share of the calls it answered, with success
// or an error. Parties are groups when grouping is configured, else pods when they are
// few, else versions. The bar shows the same, with failed calls apart. A mark stands
// above the line of the interval it fell into.
func (r Report) Timeline(interval time.Duration) string {
	if interval <= 0 {
		interval = time.Second
	}
	columns := r.columns()
	var out strings.Builder
	writeRow(&out, "second", "calls", "failed", "p99", string(failedFill)+" failed", columns, func(c column) string {
		return c.name + " " + string(c.fill)
	})
	for _, bucket := range r.Buckets(interval) {
		for _, mark := range bucket.Marks {
			fmt.Fprintf(&out, "  ── %s %s\n", seconds(mark.At, time.Millisecond), mark.Label)
		}
		writeRow(&out,
			seconds(bucket.Offset, interval), number(bucket.Calls), number(bucket.Failed),
			latency(bucket.Latency.P99), bar(bucket, columns), columns,
			func(c column) string { return share(c.of(bucket).calls, bucket.Calls) })
	}
	return out.String()
}

// column is a party in the timeline.
type column struct {
	name string
	fill rune
	of   func(Bucket) counts
}

// counts are a party's calls in a bucket.
type counts struct{ calls, failed int }

// columns are those of the whole run, so that they stay the same from line to line.
func (r Report) columns() []column {
	// A bucket with few pods is still shown as the whole run is.
	parties := func(b Bucket) (calls, failed map[string]int) { return b.Parties() }
	if r.ByGroup == nil && len(r.ByPod) > maxPodParties {
		parties = func(b Bucket) (calls, failed map[string]int) { return b.ByVersion, b.FailedByVersion }
	}
	fills := []rune("█▒░▓▚▞▤▥")
	names, _ := r.Parties()
	columns := make([]column, 0, len(names))
	for i, name := range slices.Sorted(maps.Keys(names)) {
		columns = append(columns, column{
			name: name,
			fill: fills[i%len(fills)],
			of: func(b Bucket) counts {
				calls, failed := parties(b)
				return counts{calls[name], failed[name]}
			},
		})
	}
	return columns
}

const (
	barWidth   = 20
	failedFill = '×'
)

func writeRow(out *strings.Builder, second, calls, failed, p99, bar string, columns []column, cell func(column) string) {
	const minColumn = 6
	line := fmt.Sprintf("%8s %8s %8s %9s  %-*s", second, calls, failed, p99, barWidth, bar)
	for _, column := range columns {
		width := max(utf8.RuneCountInString(column.name)+2, minColumn)
		line += fmt.Sprintf("  %*s", width, cell(column))
	}
	out.WriteString(strings.TrimRight(line, " ") + "\n")
}

// bar draws what became of the calls: a fill for each party's successes, another for
// the failed ones.
func bar(bucket Bucket, columns []column) string {
	if bucket.Calls == 0 {
		return ""
	}
	parts := make([]int, 0, len(columns)+1)
	for _, column := range columns {
		of := column.of(bucket)
		parts = append(parts, of.calls-of.failed)
	}
	parts = append(parts, bucket.Failed)

	var out strings.Builder
	for i, cells := range apportion(parts, barWidth) {
		fill := failedFill
		if i < len(columns) {
			fill = columns[i].fill
		}
		out.WriteString(strings.Repeat(string(fill), cells))
	}
	return out.String()
}

// apportion gives each count above 0 at least one of the cells, so that one failed
// call among thousands is seen, and the others in proportion. The sum of the result is
// at most the number of cells while there are fewer counts than that.
func apportion(counts []int, cells int) []int {
	total := 0
	for _, count := range counts {
		total += count
	}
	result := make([]int, len(counts))
	if total == 0 {
		return result
	}
	given, largest := 0, 0
	for i, count := range counts {
		if count == 0 {
			continue
		}
		result[i] = max(count*cells/total, 1)
		given += result[i]
		if count > counts[largest] {
			largest = i
		}
	}
	// What rounding left or took is the largest one's.
	result[largest] = max(result[largest]+cells-given, 1)
	return result
}
