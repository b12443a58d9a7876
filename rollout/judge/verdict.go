package judge

import (
	"fmt"
	"math"
	"strings"
)

// Decision is what the evidence so far says.
type Decision string

const (
	// RollBack: the canary is worse than what is tolerated. It is final.
	RollBack Decision = "RollBack"
	// Advance: the canary is surely within what is tolerated in this step.
	Advance Decision = "Advance"
	// Hold: neither is known. No data is never more than this.
	Hold Decision = "Hold"
)

// Verdict is a decision with the numbers that it is made of.
type Verdict struct {
	Decision Decision
	// Evidence for rolling back, of all tests together and at its highest, and the Threshold that rolls back, in nats.
	Evidence, Threshold float64
	// Doubtful says that so much speaks against the canary now that it must not advance, whatever speaks for it.
	Doubtful bool
	// Tests for rolling back, with the evidence of each. Together is their average before the logarithm.
	Tests []Finding
	// Gates for advancing; all must reach GateThreshold nats.
	Gates         []Finding
	GateThreshold float64
	// Canary and Stable are the calls that were judged.
	Canary, Stable Totals
}

// TestLatency is the name of the test for rolling back that compares latencies.
const TestLatency = "latency"

// Finding is the evidence of one test in nats.
type Finding struct {
	Name     string
	Evidence float64
}

// doubt is the evidence for rolling back, in nats, that forbids to advance.
var doubt = math.Log(3)

// Decide says what the state calls for. Without gates it advances whenever nothing speaks against it.
func (j Judge) Decide(s State) Verdict {
	j = j.withDefaults()
	now := j.total(s)
	v := Verdict{
		Decision: Hold,
		Evidence: max(now, s.peak.ln()), Threshold: -math.Log(j.Alpha), Doubtful: now >= doubt, Tests: j.tests(s),
		Gates: j.gates(s), GateThreshold: -math.Log(j.Beta),
		Canary: s.canary, Stable: s.stable,
	}
	switch {
	case v.Evidence >= v.Threshold:
		v.Decision = RollBack
	case !v.Doubtful && v.passes():
		v.Decision = Advance
	}
	return v
}

func (v Verdict) passes() bool {
	for _, gate := range v.Gates {
		if gate.Evidence < v.GateThreshold {
			return false
		}
	}
	return true
}

// String is the verdict as a sentence for people.
func (v Verdict) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: canary failed %d of %d calls (%s), stable %d of %d (%s); evidence against the canary %.1f of %.1f nats",
		v.Decision, v.Canary.Errors, v.Canary.Calls, v.Canary.percent(), v.Stable.Errors, v.Stable.Calls, v.Stable.percent(),
		v.Evidence, v.Threshold)
	list(&text, v.Tests, " (%s %.1f", ", %s %.1f", ")")
	list(&text, v.Gates, fmt.Sprintf("; for advancing %%s %%.1f of %.1f", v.GateThreshold), fmt.Sprintf(", %%s %%.1f of %.1f", v.GateThreshold), "")
	return text.String()
}

func list(text *strings.Builder, findings []Finding, first, next, end string) {
	for i, f := range findings {
		format := next
		if i == 0 {
			format = first
		}
		fmt.Fprintf(text, format, f.Name, f.Evidence)
	}
	if len(findings) > 0 {
		text.WriteString(end)
	}
}

func (n Totals) percent() string {
	if n.Calls == 0 {
		return "no data"
	}
	return fmt.Sprintf("%.3g %%", 100*float64(n.Errors)/float64(n.Calls))
}
