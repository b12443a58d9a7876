package judge

import "math"

// kind is what a test is about.
type kind int

const (
	kindErrors kind = iota
	kindCancelled
	kindLatency
	kindMaxErrorRate
	kinds
)

// gateKinds are the kinds before this one: of an absolute rate nothing has to be proved.
const gateKinds = kindMaxErrorRate

// names are those that people read.
var names = [kinds]string{"errors", "cancelled calls", TestLatency, "max error rate"}

// weights are the shares of alpha. Of cancelled calls a small one will do: a canary that hangs cancels many.
var weights = [kinds]float64{kindErrors: 8, kindCancelled: 1, kindLatency: 8, kindMaxErrorRate: 2}

// tests are processes against the canary, by kind.
type tests [kinds]process

// asked are the kinds of tests that a Judge makes.
func (j Judge) asked() []kind {
	var list []kind
	for k, on := range [kinds]bool{j.Errors != nil, j.Cancelled != nil, j.Latency != nil, j.bounded()} {
		if on {
			list = append(list, kind(k))
		}
	}
	return list
}

// share is the part of alpha that one kind has.
func (j Judge) share(k kind) float64 {
	all := 0.0
	for _, other := range j.asked() {
		all += weights[other]
	}
	if all == 0 {
		return 1
	}
	return weights[k] / all
}

// total is the evidence of all tests together, in nats: their weighted average, which is valid however they depend on each other.
func (j Judge) total(of tests) float64 {
	list := j.asked()
	if len(list) == 0 {
		return 0
	}
	total := negInf
	for _, k := range list {
		total = logAdd(total, of[k].lnE()+math.Log(j.share(k)))
	}
	return total
}

func (j Judge) findings(of tests) []Finding {
	var list []Finding
	for _, k := range j.asked() {
		list = append(list, Finding{Name: names[k], Evidence: of[k].lnE()})
	}
	return list
}

// byTick is the pace of an alarm: one tick lifts it by half of the way to the threshold of all.
func (j Judge) byTick(s State, k kind) pace {
	return pace{planned: j.Planned, first: 0.5, perTick: s.spread.factor() * -math.Log(j.Alpha*j.share(k)) / 2}
}

// byBlock is the pace of a verdict: one event lifts it by a part of the way that it is where pods do not differ. Where they do, so many more events
// are asked for: with larger ones, a single clump of errors would take as many more healthy calls to be forgotten.
func (j Judge) byBlock(k kind, parts float64) pace {
	return pace{planned: j.Planned, first: 0.5, perTick: -math.Log(j.Alpha*j.share(k)) / parts}
}

// absoluteGains are those of an error rate above a bound.
func (j Judge) absoluteGains(n sums) []float64 {
	failed := float64(n.canaryErrors)
	passed := float64(n.canaryCalls) - failed
	gains := make([]float64, absoluteGrid)
	for i, alt := range (Absolute{Bound: j.MaxErrorRate}).above() {
		gains[i] = failed*alt.failed + passed*alt.passed
	}
	return gains
}
