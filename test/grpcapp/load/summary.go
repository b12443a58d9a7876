package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxListed bounds the pods and the kinds of failures that the summary lists.
const maxListed = 10

// Summary prints what the run found, a fact a line. The last line is the verdict:
// "failed: 0 of 12,000".
func (r Report) Summary() string {
	var out strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&out, "%-18s %s\n", label+":", fmt.Sprintf(format, args...))
	}

	line("load", "%s on %s, %g calls/s for %s, %d connections, timeout %s",
		r.Method, r.Target, r.Rate, significant(r.End.Sub(r.Start)), r.Connections, r.Timeout)
	if r.group != nil {
		r.answeredBy(line, "groups", r.ByGroup, r.FailedByGroup)
	}
	r.answeredBy(line, "pods", r.ByPod, r.FailedByPod)
	r.answeredBy(line, "versions", r.ByVersion, r.FailedByVersion)
	line("codes", "%s", r.codes())
	line("latency", "p50 %s, p90 %s, p99 %s, max %s (of calls that succeeded)",
		latency(r.Latency.P50), latency(r.Latency.P90), latency(r.Latency.P99), latency(r.Latency.Max))
	line("longest gap", "%s without success, from second %s",
		significant(r.LongestGap.Duration()), r.second(r.LongestGap.From))
	line("send lag", "at most %s", significant(max(r.MaxSendLag, 0)))
	if r.LateSends > 0 {
		line("WARNING", "the load generator fell behind: it sent %s calls more than %s late", number(r.LateSends), lateSend)
	}
	if r.TransparentRetries > 0 {
		line("moved", "%s calls went to another connection before an application saw them", number(r.TransparentRetries))
	}
	if retries := r.Attempts - r.TransparentRetries - r.Total - r.InFlight; retries > 0 {
		line("retries", "%s", number(retries))
	}
	if r.InFlight > 0 {
		line("in flight", "%s", number(r.InFlight))
	}
	r.failures(line)
	fmt.Fprintf(&out, "failed: %s of %s\n", number(r.Failed), number(r.Total))
	return out.String()
}

// line writes one labelled line of the summary.
type line func(label, format string, args ...any)

func (r Report) answeredBy(line line, label string, calls, failed map[string]int) {
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		return cmp.Or(cmp.Compare(calls[b], calls[a]), cmp.Compare(a, b))
	})
	var parts []string
	for i, name := range names {
		if i == maxListed {
			parts = append(parts, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		part := fmt.Sprintf("%s %s (%s", name, number(calls[name]), share(calls[name], r.Total))
		if failed[name] > 0 {
			part += fmt.Sprintf(", %s failed", number(failed[name]))
		}
		parts = append(parts, part+")")
	}
	if r.Unanswered > 0 {
		parts = append(parts, fmt.Sprintf("nobody %s (%s)", number(r.Unanswered), share(r.Unanswered, r.Total)))
	}
	if len(parts) > 0 {
		line(label, "%s", strings.Join(parts, ", "))
	}
}

func (r Report) codes() string {
	parts := make([]string, 0, len(r.ByCode))
	for _, code := range slices.Sorted(maps.Keys(r.ByCode)) {
		parts = append(parts, fmt.Sprintf("%s %s", code, number(r.ByCode[code])))
	}
	return strings.Join(parts, ", ")
}

func (r Report) failures(line line) {
	if r.Failed == 0 {
		return
	}
	for i, failure := range r.Failures {
		if i == maxListed {
			line("failure", "%d more kinds", len(r.Failures)-i)
			break
		}
		line("failure", "%s × %s: %s", number(failure.Count), failure.Code, failure.Message)
	}
	line("first failure", "%s", r.failed(r.FirstFailure))
	line("last failure", "%s", r.failed(r.LastFailure))
}

// failed describes one failed call.
func (r Report) failed(call *Call) string {
	return fmt.Sprintf("second %s, %s after %s, answered by %s",
		r.second(call.Due), call.Code, significant(call.Latency), cmp.Or(call.Pod, "nobody"))
}

func (r Report) second(at time.Time) string {
	return seconds(at.Sub(r.Start), time.Millisecond)
}
