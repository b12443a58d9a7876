package load

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// lateSend is the send lag from which a call counts as sent late: beyond what a timer
// on a busy machine does.
const lateSend = 10 * time.Millisecond

// Report is what a run found. Counts are of calls.
type Report struct {
	Target string
	Method Method
	// Rate is the configured rate, in calls per second.
	Rate        float64
	Connections int
	Timeout     time.Duration
	// Start and End bound the run, or what it had run when a snapshot was taken.
	Start, End time.Time

	// Total is the number of calls that have ended, each counted once; Failed of them
	// failed.
	Total, Failed int
	// InFlight is the number of calls without an end yet; 0 in a final report.
	InFlight int
	// ByCode has the canonical codes that occurred.
	ByCode map[codes.Code]int
	Answers
	// Failures are the kinds of failures, most frequent first.
	Failures []Failure
	// FirstFailure and LastFailure are the first and last failed calls by the time they
	// were due; nil when none failed.
	FirstFailure, LastFailure *Call

	// Latency is that of the calls that succeeded.
	Latency Latency
	// LongestGap is the longest time in which no call succeeded.
	LongestGap Gap

	// MaxSendLag is how late the generator itself sent a call at most, LateSends how
	// many calls it sent more than 10 ms late.
	MaxSendLag time.Duration
	LateSends  int
	// Attempts is the number of times gRPC tried a call; TransparentRetries of them
	// repeated one that had not reached an application.
	Attempts, TransparentRetries int

	recording recording
	group     func(string) string
}

// Failure is a kind of failed calls.
type Failure struct {
	Code    codes.Code
	Message string
	Count   int
}

// Gap is a time without success. It ends with the next success or with the report.
type Gap struct {
	From, To time.Time
}

// Duration is the length of the gap.
func (g Gap) Duration() time.Duration { return g.To.Sub(g.From) }

// Calls yields each recorded call, in the order in which they ended.
func (r Report) Calls() iter.Seq[Call] {
	return func(yield func(Call) bool) {
		for _, record := range r.recording.calls {
			if !yield(r.recording.call(record)) {
				return
			}
		}
	}
}

func newReport(cfg Config, recording recording, end time.Time) Report {
	calls := recording.calls
	whole := newBucket(recording, calls, cfg.Group)
	report := Report{
		Target:      cfg.Target,
		Method:      cfg.Method,
		Rate:        cfg.Rate,
		Connections: cfg.Connections,
		Timeout:     cfg.Timeout,
		Start:       recording.start,
		End:         end,

		Total:      whole.Calls,
		Failed:     whole.Failed,
		InFlight:   recording.sent - whole.Calls,
		ByCode:     map[codes.Code]int{},
		Answers:    whole.Answers,
		Latency:    whole.Latency,
		LongestGap: longestGap(recording, end),

		recording: recording,
		group:     cfg.Group,
	}
	for _, call := range calls {
		report.ByCode[call.code]++
		report.MaxSendLag = max(report.MaxSendLag, call.sendLag)
		if call.sendLag > lateSend {
			report.LateSends++
		}
	}
	report.Failures = failuresOf(recording)
	report.FirstFailure, report.LastFailure = failureBounds(recording)
	return report
}

func failuresOf(recording recording) []Failure {
	type kind struct {
		code    codes.Code
		message uint32
	}
	counts := map[kind]int{}
	for _, call := range recording.calls {
		if call.failed() {
			counts[kind{call.code, call.message}]++
		}
	}
	failures := make([]Failure, 0, len(counts))
	for kind, count := range counts {
		failures = append(failures, Failure{Code: kind.code, Message: recording.messages[kind.message], Count: count})
	}
	slices.SortFunc(failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return failures
}

func failureBounds(recording recording) (first, last *Call) {
	var earliest, latest *record
	for i := range recording.calls {
		call := &recording.calls[i]
		if !call.failed() {
			continue
		}
		if earliest == nil || call.due < earliest.due {
			earliest = call
		}
		if latest == nil || call.due > latest.due {
			latest = call
		}
	}
	if earliest == nil {
		return nil, nil
	}
	firstCall, lastCall := recording.call(*earliest), recording.call(*latest)
	return &firstCall, &lastCall
}

// longestGap looks at when successes came in, not at when their calls were due: a call
// that hangs for a second and then succeeds was a second without service.
func longestGap(recording recording, end time.Time) Gap {
	successes := make([]time.Duration, 0, len(recording.calls))
	for _, call := range recording.calls {
		if !call.failed() {
			successes = append(successes, call.ended())
		}
	}
	slices.Sort(successes)

	var longest Gap
	previous := recording.start
	consider := func(to time.Time) {
		if gap := (Gap{From: previous, To: to}); gap.Duration() > longest.Duration() {
			longest = gap
		}
		previous = to
	}
	for _, success := range successes {
		consider(recording.start.Add(success))
	}
	consider(end)
	return longest
}
