package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// result is what became of one trial.
type result struct {
	Contender string `json:"contender"`
	Scenario  string `json:"scenario"`
	Run       int    `json:"run"`
	Outcome   state  `json:"outcome"`
	// Seconds is from the change of the pod template to the tool's own verdict, or to the end of the watch.
	Seconds float64 `json:"seconds"`
	// Exposed is for how long the new version was called, in seconds: from when the first call was due that it answered to when the last one
	// was, without pauses of more than longestPause in which its calls were taken away.
	Exposed float64 `json:"exposedSeconds"`
	// Calls were due since the change, Canary of them answered by the new version, and Failed of them failed.
	Calls  int `json:"calls"`
	Canary int `json:"canaryCalls"`
	Failed int `json:"failedCalls"`
	// Unanswered are those of them that no version answered, and Failures says what they got instead, most frequent first.
	Unanswered int      `json:"unansweredCalls"`
	Failures   []string `json:"failures,omitempty"`
	// Started is how many pods of the service were started from the change to the verdict, and PodSeconds how long there were pods, all
	// together, in that time. Pods that are told to end are none.
	Started    int     `json:"podsStarted"`
	PodSeconds float64 `json:"podSeconds"`
	// Weight is the canary's share in percent at the verdict, by the tool's own account, and Words are the tool's.
	Weight float64 `json:"weight"`
	Words  string  `json:"words,omitempty"`
}

func (r *result) String() string {
	return fmt.Sprintf("%s after %.1f s; the new version had calls for %.1f s, %d of %d; %d failed, %d of them without an answer of either version",
		r.Outcome, r.Seconds, r.Exposed, r.Canary, r.Calls, r.Failed, r.Unanswered)
}

// count takes in the calls since the change.
func (r *result) count(report load.Report, shipped time.Time) {
	var answered []time.Time
	missed := map[string]int{}
	for call := range report.Calls() {
		if call.Due.Before(shipped) {
			continue
		}
		r.Calls++
		if call.Failed() {
			r.Failed++
		}
		if call.Failed() && call.Version == "" {
			r.Unanswered++
			missed[call.Code.String()+": "+call.Message]++
		}
		if call.Version != newVersion {
			continue
		}
		r.Canary++
		answered = append(answered, call.Due)
	}
	r.Exposed = exposure(answered).Seconds()
	kinds := slices.SortedFunc(maps.Keys(missed), func(a, b string) int { return cmp.Or(missed[b]-missed[a], strings.Compare(a, b)) })
	for _, kind := range kinds[:min(len(kinds), mostFailures)] {
		r.Failures = append(r.Failures, fmt.Sprintf("%d %s", missed[kind], kind))
	}
}

// longestPause is how long the new version may be without a call while it has a share of them.
const longestPause = 20 * time.Second

// exposure adds up the times between calls.
func exposure(due []time.Time) time.Duration {
	slices.SortFunc(due, time.Time.Compare)
	total := time.Duration(0)
	for i := 1; i < len(due); i++ {
		if pause := due[i].Sub(due[i-1]); pause <= longestPause {
			total += pause
		}
	}
	return total
}

// mostFailures is how many kinds of them are kept.
const mostFailures = 5
