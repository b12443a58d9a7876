package load

import (
	"encoding/json"
	"fmt"
	"time"
)

// JSON writes the report for machines, with a timeline of the interval (0 means a
// second). Times are RFC 3339, durations are numbers of seconds and say so in their
// names; offsets count from the start of the run.
func (r Report) JSON(interval time.Duration) ([]byte, error) {
	out := jsonReport{
		Target:             r.Target,
		Method:             string(r.Method),
		Rate:               r.Rate,
		Start:              r.Start,
		End:                r.End,
		Total:              r.Total,
		Failed:             r.Failed,
		InFlight:           r.InFlight,
		ByCode:             map[string]int{},
		Answers:            r.Answers,
		FirstFailure:       r.callJSON(r.FirstFailure),
		LastFailure:        r.callJSON(r.LastFailure),
		LatencySeconds:     latencyJSON(r.Latency),
		LongestGap:         jsonGap{OffsetSeconds: r.LongestGap.From.Sub(r.Start).Seconds(), Seconds: r.LongestGap.Duration().Seconds()},
		MaxSendLagSeconds:  r.MaxSendLag.Seconds(),
		LateSends:          r.LateSends,
		Attempts:           r.Attempts,
		TransparentRetries: r.TransparentRetries,
	}
	for code, count := range r.ByCode {
		out.ByCode[code.String()] = count
	}
	for _, failure := range r.Failures {
		out.Failures = append(out.Failures, jsonFailure{failure.Code.String(), failure.Message, failure.Count})
	}
	for _, bucket := range r.Buckets(interval) {
		out.Timeline = append(out.Timeline, bucketJSON(bucket))
	}
	encoded, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append(encoded, '\n'), nil
}

type jsonReport struct {
	Target   string         `json:"target"`
	Method   string         `json:"method"`
	Rate     float64        `json:"rate"`
	Start    time.Time      `json:"start"`
	End      time.Time      `json:"end"`
	Total    int            `json:"total"`
	Failed   int            `json:"failed"`
	InFlight int            `json:"inFlight"`
	ByCode   map[string]int `json:"byCode"`
	Answers
	Failures           []jsonFailure `json:"failures,omitempty"`
	FirstFailure       *jsonCall     `json:"firstFailure,omitempty"`
	LastFailure        *jsonCall     `json:"lastFailure,omitempty"`
	LatencySeconds     jsonLatency   `json:"latencySeconds"`
	LongestGap         jsonGap       `json:"longestGap"`
	MaxSendLagSeconds  float64       `json:"maxSendLagSeconds"`
	LateSends          int           `json:"lateSends"`
	Attempts           int           `json:"attempts"`
	TransparentRetries int           `json:"transparentRetries"`
	Timeline           []jsonBucket  `json:"timeline"`
}

type jsonFailure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Count   int    `json:"count"`
}

type jsonCall struct {
	OffsetSeconds  float64 `json:"offsetSeconds"`
	LatencySeconds float64 `json:"latencySeconds"`
	Code           string  `json:"code"`
	Message        string  `json:"message"`
	Pod            string  `json:"pod,omitempty"`
	Version        string  `json:"version,omitempty"`
}

type jsonLatency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type jsonGap struct {
	OffsetSeconds float64 `json:"offsetSeconds"`
	Seconds       float64 `json:"seconds"`
}

type jsonBucket struct {
	OffsetSeconds float64 `json:"offsetSeconds"`
	Calls         int     `json:"calls"`
	Failed        int     `json:"failed"`
	Answers
	LatencySeconds jsonLatency `json:"latencySeconds"`
	Marks          []jsonMark  `json:"marks,omitempty"`
}

type jsonMark struct {
	OffsetSeconds float64 `json:"offsetSeconds"`
	Label         string  `json:"label"`
}

func latencyJSON(l Latency) jsonLatency {
	return jsonLatency{l.P50.Seconds(), l.P90.Seconds(), l.P99.Seconds(), l.Max.Seconds()}
}

func (r Report) callJSON(call *Call) *jsonCall {
	if call == nil {
		return nil
	}
	return &jsonCall{
		OffsetSeconds:  call.Due.Sub(r.Start).Seconds(),
		LatencySeconds: call.Latency.Seconds(),
		Code:           call.Code.String(),
		Message:        call.Message,
		Pod:            call.Pod,
		Version:        call.Version,
	}
}

func bucketJSON(b Bucket) jsonBucket {
	out := jsonBucket{
		OffsetSeconds:  b.Offset.Seconds(),
		Calls:          b.Calls,
		Failed:         b.Failed,
		Answers:        b.Answers,
		LatencySeconds: latencyJSON(b.Latency),
	}
	for _, mark := range b.Marks {
		out.Marks = append(out.Marks, jsonMark{mark.At.Seconds(), mark.Label})
	}
	return out
}
