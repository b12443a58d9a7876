package judge

import (
	"math"
	"time"
)

// Absolute tests, for as long as it is fed, whether an error rate is above a bound, and whether it is below it.
//
// It is an e-detector (Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection, 2023,
// section 3, the Shiryaev-Roberts form) over the likelihood ratios of a grid of alternatives p_j against the bound x, with
// the mass of new starts spent over time:
//
//	R_j <- (R_j + w v_j) (p_j/x)^errors ((1-p_j)/(1-x))^(calls-errors),  M = sum_j R_j,  exceeded when M >= 1/Alpha
//
// with sum_j v_j = 1 and w at most elapsed/Horizon. The factor's mean is at most 1 while the error rate is at most x, whatever
// it does below x and however traffic comes, since it rises with the errors and its mean is 1 at x. So with N the number of
// alarms, each answered by starting over from the zero state, and W the sum of all w, N/Alpha + M - W is a supermartingale
// that starts at zero, and
//
//	E[alarms until t] <= Alpha t/Horizon,  and the mean time to a false alarm is at least Horizon/Alpha,
//
// at every stopping time, looked at as often as one likes. A change may begin at any time: its own start is in the sum, at a
// price of ln(Horizon/(elapsed v_j)) nats. Whoever acts on an alarm starts over from the zero state.
//
// Anything that only lowers M keeps this: rounding down, the cap by tick, the ceiling, spending less than elapsed/Horizon.
type Absolute struct {
	// Bound is the error rate in question, above 0 and below 1. A Bound outside asks nothing: no evidence comes.
	Bound float64
	// Alpha is the mean number of false alarms within Horizon, above 0 and below 1; otherwise 0.01.
	Alpha float64
	// Horizon is the time that Alpha is for; otherwise one hour.
	Horizon time.Duration
}

// absoluteGrid is the number of alternatives on each side of the bound.
const absoluteGrid = 12

// AbsoluteState is what Absolute remembers of one backend: 24 numbers, comparable, copied by assignment. The zero value is the start.
// It is tied to its Bound: a test with another one starts it over.
type AbsoluteState struct {
	// Bound is the bound that the evidence is against, in billionths.
	Bound int64
	// Above is the evidence for each alternative above the bound, Under for each below it.
	Above, Under [absoluteGrid]Nats
}

const (
	// headStart is the mass that the question "below?" spends on its first tick. It is asked once for each outage, of a backend
	// that may have recovered by then; the question "above?" is asked for ever and has none.
	headStart = 0.5
	// massPerError bounds the start mass of a tick by the errors expected at the bound, so that without any error M stays
	// below 1 even where calls are so rare that elapsed/Horizon for each of them would add up to an alarm.
	massPerError = 0.05
	// mostMass is the start mass of one tick at most, so that a tick of hours spends no more than one of minutes.
	mostMass = 1.0 / 16
)

// Update returns the state after elapsed time in which calls finished, errors of them in error. All three are increments: no
// call is counted twice. Without calls nothing changes.
//
// One tick lifts the evidence by at most half of ln(1/Alpha) above where it stood, or above 1 if it stood lower: an alarm takes
// two ticks, never a burst within one.
func (a Absolute) Update(s AbsoluteState, calls, errors uint64, elapsed time.Duration) AbsoluteState {
	a = a.withDefaults()
	if !a.asks() {
		return AbsoluteState{}
	}
	if s.Bound != a.key() {
		s = AbsoluteState{}
	}
	if calls == 0 {
		return s
	}
	fresh := s.Bound == 0
	s.Bound = a.key()
	failed := float64(min(errors, calls))
	passed := float64(calls) - failed

	above := a.mass(calls, elapsed)
	a.advance(s.Above[:], above, a.above(), failed, passed)

	under := above / 2
	if fresh {
		under += headStart
	}
	a.advance(s.Under[:], under, a.under(), failed, passed)
	return s
}

// Exceeded says that the error rate is above the bound.
func (a Absolute) Exceeded(s AbsoluteState) bool {
	have, need := a.Evidence(s)
	return have >= need
}

// Evidence gives the evidence that the error rate is above the bound and the amount that it takes, both in nats, for people:
// "evidence 7.1 of 4.6". Evidence of less than 1 is given as 0 nats; more than twice the threshold is not kept, so that the
// memory of a long outage fades as fast as that of a short one.
func (a Absolute) Evidence(s AbsoluteState) (logE, threshold float64) {
	return a.evidence(s, s.Above[:])
}

// Below says that the error rate is below the bound. For each start from the zero state, and for each Horizon from then on, it is
// mistaken with a probability of at most Alpha.
func (a Absolute) Below(s AbsoluteState) bool {
	have, need := a.BelowEvidence(s)
	return have >= need
}

// BelowEvidence is Evidence for the mirrored question.
func (a Absolute) BelowEvidence(s AbsoluteState) (logE, threshold float64) {
	return a.evidence(s, s.Under[:])
}

func (a Absolute) evidence(s AbsoluteState, list []Nats) (logE, threshold float64) {
	a = a.withDefaults()
	threshold = -math.Log(a.Alpha)
	if !a.asks() || s.Bound != a.key() {
		return 0, threshold
	}
	return max(0, logSum(list)), threshold
}

func (a Absolute) withDefaults() Absolute {
	if !(a.Alpha > 0 && a.Alpha < 1) {
		a.Alpha = 0.01
	}
	if a.Horizon <= 0 {
		a.Horizon = time.Hour
	}
	return a
}

func (a Absolute) asks() bool {
	return a.Bound > 0 && a.Bound < 1 && a.key() > 0 && a.key() < boundUnit
}

const boundUnit = 1e9

func (a Absolute) key() int64 { return int64(math.Round(a.Bound * boundUnit)) }

// mass is what a tick may spend on changes that begin in it.
func (a Absolute) mass(calls uint64, elapsed time.Duration) float64 {
	spread := max(0, float64(elapsed)/float64(a.Horizon))
	return min(spread, massPerError*a.Bound*float64(calls), mostMass)
}

// advance takes parts, the evidence by alternative, through one tick.
func (a Absolute) advance(parts []Nats, mass float64, grid *[absoluteGrid]alternative, failed, passed float64) {
	before, top := mass, negInf
	for j, alt := range grid {
		held := math.Exp(parts[j].ln())
		before += held
		gain := passed * alt.passed
		if failed > 0 { // the alternative "no errors" has minus infinity here
			gain += failed * alt.failed
		}
		parts[j] = natsOf(math.Log(held+mass*alt.weight) + gain)
		top = max(top, parts[j].ln())
	}
	threshold := -math.Log(a.Alpha)
	limit := min(max(0, math.Log(before))+threshold/2+1e-3, 2*threshold)
	if top < limit-math.Log(absoluteGrid) {
		return
	}
	if after := logSum(parts); after > limit {
		lower(parts, after-limit)
	}
}

// alternative is an error rate to test the bound against: its share of the starts, and the logarithms of its likelihood ratio
// to the bound for a failed and for a passed call.
type alternative struct{ weight, failed, passed float64 }

// above is the grid of error rates above the bound: odds from 1.25 times the bound's to 19 (95 % errors), evenly in their
// logarithm. Odds, because they leave room above every bound.
func (a Absolute) above() *[absoluteGrid]alternative {
	first := 1.25 * a.Bound / (1 - a.Bound)
	last := max(19, 10*first)
	ratio := math.Pow(last/first, 1.0/(absoluteGrid-1))
	var grid [absoluteGrid]alternative
	for j, odds := 0, first; j < absoluteGrid; j, odds = j+1, odds*ratio {
		grid[j] = a.alternative(odds/(1+odds), 1.0/absoluteGrid)
	}
	return &grid
}

// under is the grid of error rates below the bound: none at all, with a quarter of the starts, then the bound's odds divided by
// 1.25, 1.25*1.6, ...
func (a Absolute) under() *[absoluteGrid]alternative {
	var grid [absoluteGrid]alternative
	grid[0] = a.alternative(0, 0.25)
	for j, odds := 1, a.Bound/(1-a.Bound)/1.25; j < absoluteGrid; j, odds = j+1, odds/1.6 {
		grid[j] = a.alternative(odds/(1+odds), 0.75/(absoluteGrid-1))
	}
	return &grid
}

func (a Absolute) alternative(p, weight float64) alternative {
	return alternative{weight: weight, failed: math.Log(p / a.Bound), passed: math.Log1p(-p) - math.Log1p(-a.Bound)}
}
