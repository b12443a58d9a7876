package failover

import (
	"fmt"
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// A backend that gets more calls than it can carry fails some of them, and whoever takes over from it gets as many. In a trial it
// gets a fifth less: an overload then fails a smaller share, and any other fault the same.
const (
	// arrivalTime is how long after the decision no count is used: data planes follow it one after the other.
	arrivalTime = time.Second
	// freshFor is for how long the calls by which a backend was found to fail say what it does.
	freshFor = 30 * time.Second
	// overloadZ is the one-sided 0.5 % point of the normal distribution. The trial begins when many calls have failed by chance too,
	// which makes about 1 % of it.
	overloadZ = 2.576
	// explainedPart is how much there has to be of the improvement that an overload predicts.
	explainedPart = 0.5
	// leastCalls is how many calls it takes on each side. With fewer, shares are not nearly normal.
	leastCalls = 30
)

// load are the calls of a backend in some time.
type load struct {
	calls, errors float64
	// rate is in calls per second.
	rate float64
}

func loadOf(c *v1alpha1.CountedCalls) load {
	return load{calls: float64(c.Calls), errors: float64(c.Errors), rate: float64(c.Calls) / c.Duration.Seconds()}
}

// failed is the share of the calls that failed.
func (l load) failed() float64 { return l.errors / l.calls }

// answered is how many calls per second were answered without an error.
func (l load) answered() float64 { return l.rate * (1 - l.failed()) }

func (l load) String() string {
	return fmt.Sprintf("%.1f %% of %.0f calls/s", 100*l.failed(), l.rate)
}

// showOverload says whether a backend fails its calls because there are too many, from those before it got fewer and those after.
// With n calls of which the share f failed, the pooled share p, g answered calls per second and r calls per second it asks that
//
//	(f1 - f2) / sqrt(p (1-p) (1/n1 + 1/n2)) >= 2.576
//	f1 - f2 >= (f1 - max(0, 1 - g1/r2)) / 2 > 0
//
// The first is the test of two proportions (Fleiss, Levin, Paik, Statistical Methods for Rates and Proportions, 2003, section 3.2),
// one-sided. The second compares with a backend that goes on answering g1 calls per second however many come.
func showOverload(before, after load) bool {
	if min(before.calls, after.calls) < leastCalls {
		return false
	}
	eased := before.failed() - after.failed()
	predicted := before.failed() - max(0, 1-before.answered()/after.rate)
	pooled := (before.errors + after.errors) / (before.calls + after.calls)
	deviation := math.Sqrt(pooled * (1 - pooled) * (1/before.calls + 1/after.calls))
	return predicted > 0 && eased >= explainedPart*predicted && eased >= overloadZ*deviation
}

// failsFreshly says whether it has been found to fail its calls shortly before.
func (b *backend) failsFreshly(now time.Time) bool {
	return b.memory.Failing != nil && now.Sub(b.memory.Failing.Until.Time) <= freshFor
}

// measures says whether a trial can show an overload: it is known how many calls the serving backend failed before, and there are
// enough of them.
func (l *look) measures() bool {
	from := &l.backends[l.active]
	if !l.ramp.isTrial() || l.settings.test == nil || !from.failsFreshly(l.ramp.since) || from.memory.Failing.Duration.Duration <= 0 {
		return false
	}
	before := loadOf(from.memory.Failing)
	return before.calls >= leastCalls && before.rate*l.ramp.rest()*(trialTime-arrivalTime).Seconds() >= leastCalls
}

// rest is the share of the calls that stays with the serving backend.
func (r *ramp) rest() float64 {
	if r == nil {
		return 1
	}
	return 1 - float64(r.percent)/100
}

// measureTrial counts the calls of the serving backend in a trial. A look that spans the change of the weights is of neither
// time: counts begin at the end of the look in which the backend that is tried had half of its share.
func (l *look) measureTrial(seen Observation) {
	if !l.measures() {
		return
	}
	from, to := &l.backends[l.active], &l.backends[l.ramp.to]
	half := loadOf(from.memory.Failing).rate * (1 - l.ramp.rest()) / 2
	for _, calls := range to.untaken(seen.Backends[to.name], l.now) {
		if l.ramp.arrived.IsZero() && calls.End.After(l.ramp.since) && float64(calls.Calls) >= half*calls.End.Sub(calls.Start).Seconds() {
			l.ramp.arrived = micro(earlier(calls.End, l.now)).Time
		}
	}
	if l.ramp.arrived.IsZero() {
		return
	}
	for _, calls := range from.untaken(seen.Backends[from.name], l.now) {
		if !calls.Start.Before(l.ramp.arrived) && calls.Start.Sub(l.ramp.since) >= arrivalTime {
			l.ramp.serving = plus(l.ramp.serving, calls, l.now)
		}
	}
}

func plus(sum *v1alpha1.CountedCalls, calls Calls, now time.Time) *v1alpha1.CountedCalls {
	if sum == nil {
		sum = &v1alpha1.CountedCalls{}
	}
	return &v1alpha1.CountedCalls{
		Calls:    sum.Calls + int64(calls.Calls),   //nolint:gosec // nobody makes 2^63 calls
		Errors:   sum.Errors + int64(calls.Errors), //nolint:gosec // see above
		Duration: metav1.Duration{Duration: sum.Duration.Duration + calls.End.Sub(calls.Start)},
		Until:    *micro(earlier(calls.End, now)),
	}
}

// untaken are the calls that the look is about to take in.
func (b *backend) untaken(observed BackendObservation, now time.Time) []Calls {
	m := v1alpha1.BackendMemory{CountedUntil: b.memory.CountedUntil}
	var out []Calls
	for _, calls := range observed.counted(now) {
		if calls.tell(now) && !taken(&m, calls) {
			m.CountedUntil = micro(earlier(calls.End, now))
			out = append(out, calls)
		}
	}
	return out
}

// overload is what a trial has shown of a serving backend that gets more calls than it can carry.
type overload struct {
	before, after load
	// all calls come per second, carried of them are answered, and each ready endpoint answers its part.
	all, carried, each float64
	// needed is how many such endpoints could answer all.
	needed int32
}

// overload says whether the trial has shown one, where endpoints can be counted.
func (l *look) overload() (overload, bool) {
	from := &l.backends[l.active]
	if !l.measures() || l.ramp.serving == nil || !from.countable || from.ready == 0 {
		return overload{}, false
	}
	o := overload{before: loadOf(from.memory.Failing), after: loadOf(l.ramp.serving)}
	if !showOverload(o.before, o.after) {
		return overload{}, false
	}
	o.carried = max(o.before.answered(), o.after.answered())
	o.each, o.all = o.carried/float64(from.ready), o.after.rate/l.ramp.rest()
	o.needed = int32(min(math.Ceil(o.all/o.each), math.MaxInt32))
	return o, true
}

// settleOverload: whoever serves is overloaded. Each endpoint of the backend that is tried is taken to carry as much as one of those
// that serve. If they could carry all that comes it gets everything, and otherwise nothing. Calls are kept back from the backend that
// could not carry them.
func settleOverload(l *look, c choice) (plan, bool) {
	from, to := &l.backends[l.active], &l.backends[c.to]
	o, shown := l.overload()
	if !shown || !to.countable || c.pinned {
		return plan{}, false
	}
	p, end := l.switchTo(c), "and serves"
	if to.ready < o.needed {
		p, end = l.stayAfterTrial(v1alpha1.DecisionKeptBack), fmt.Sprintf("and all with %d endpoints: calls are kept back", o.needed)
	}
	p.keptBack = &v1alpha1.KeptBack{Since: *micro(l.now), Endpoints: o.needed, Carries: int64(o.each * float64(o.needed))}
	p.message = fmt.Sprintf("%s is overloaded: it answers no more than %.0f calls/s (failed %s, %s); %s (%s) could carry about %.0f of %.0f calls/s, %s",
		from.name, o.carried, o.before, o.after, to.name, to.count(), o.each*float64(to.ready), o.all, end)
	return p, true
}
