// Package service simulates the calls of a service whose first backend is being rolled out: second by second and pod by pod, with a
// fixed seed. It knows nothing of who decides about the canary.
package service

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// Course is a number that may change in the course of a rollout.
type Course func(at time.Duration) float64

// Steady is a number that does not.
func Steady(x float64) Course { return func(time.Duration) float64 { return x } }

// From is before until at and after from then on.
func From(at time.Duration, before, after float64) Course {
	return func(now time.Duration) float64 {
		if now < at {
			return before
		}
		return after
	}
}

// Service is what is simulated. Stable has Pods pods.
type Service struct {
	Pods int
	// Calls is how many calls come in a second.
	Calls Course
	// Errors is the share that fails of the calls to either version, Worse what fails in addition of those to the canary.
	Errors, Worse Course
	// Cluster is the mean number of errors that come in the same second in the same pod, geometric; below 1 they come alone.
	Cluster float64
	// Blip makes the errors of Errors come in blips of single pods: for so long so many fail.
	Blip Blip
	// Differ is the coefficient of variation of the error rates of pods, gamma distributed, for good.
	Differ float64
	// Outages are errors of both versions at the same time.
	Outages Outages
	// Late is how much later the canary's calls are counted than stable's.
	Late time.Duration
	// ColdFor is for how long the calls to a new pod of the canary fail with ColdErrors.
	ColdFor    time.Duration
	ColdErrors float64
	// Hangs is the share of the canary's calls that have no answer before their caller gives up, HangsBoth that of either version.
	Hangs, HangsBoth float64
	// Deadline is when callers give up; 0: never.
	Deadline time.Duration
	// Streams: calls last for hours, and only those end that fail.
	Streams bool
	// Batch is how often calls are counted; 0: each second.
	Batch time.Duration
	// ServedShare is a factor of the canary's share, changed each minute; nil: 1.
	ServedShare func(random *rand.Rand) float64
	// Latency is how long calls of stable take, Slower what it is for the canary; nil: nobody knows.
	Latency, Slower Latencies
	// Stall makes the calls of single pods slow.
	Stall Stall
}

// Blip is a time in which one pod fails.
type Blip struct {
	Length time.Duration
	Fails  float64
}

// Outages come again and again.
type Outages struct {
	Every, Length time.Duration
	Fails         float64
}

// Stall is a time in which one pod is slow.
type Stall struct {
	Every, Length time.Duration
	Times         float64
}

// Latencies are bucket bounds and the probability of each bucket, with the calls slower times slower.
type Latencies func(slower float64) ([]time.Duration, []float64)

// Run is one run of a service.
type Run struct {
	service Service
	random  *rand.Rand
	at      time.Duration
	stable  []*pod
	canary  []*pod
	share   float64
	made    int
	// waiting are the canary's counts that are late, batch those that are not counted yet.
	waiting       []judge.Counts
	batch         [2]judge.Counts
	hanging       [2][]uint64
	inFlight      [2]uint64
	Failed, Calls float64 // of the canary: calls that failed because of it, by the mean, and all
}

type pod struct {
	id     string
	factor float64
	blip   time.Duration
	stall  time.Duration
	born   time.Duration
}

// Start begins run number run.
func (s Service) Start(run uint64) *Run {
	if s.Pods == 0 {
		s.Pods = 10
	}
	for _, course := range []*Course{&s.Errors, &s.Worse} {
		if *course == nil {
			*course = Steady(0)
		}
	}
	r := &Run{service: s, random: traffic.Rand(7, run), share: 1}
	for range s.Pods {
		r.stable = append(r.stable, r.newPod(-time.Hour))
	}
	return r
}

func (r *Run) newPod(born time.Duration) *pod {
	r.made++
	p := &pod{id: "pod-" + strconv.Itoa(r.made), factor: 1, born: born}
	if cv := r.service.Differ; cv > 0 {
		p.factor = gamma(r.random, 1/(cv*cv)) * cv * cv
	}
	return p
}

// Second lets a second pass in which the canary has a weight and so many pods, and says what was counted in it. ok: something was.
func (r *Run) Second(weight float64, pods int) (canary, stable judge.Counts, elapsed time.Duration, ok bool) {
	s := r.service
	for len(r.canary) < pods {
		r.canary = append(r.canary, r.newPod(r.at))
	}
	r.canary = r.canary[:pods]
	if s.ServedShare != nil && r.at%time.Minute == 0 {
		r.share = s.ServedShare(r.random)
	}
	served := min(weight*r.share, 1)
	if pods == 0 {
		served = 0
	}
	calls := s.Calls(r.at)
	both := s.Errors(r.at)
	if o := s.Outages; o.Every > 0 && r.at%o.Every >= o.Every-o.Length {
		both = max(both, o.Fails)
	}
	stable = r.side(0, r.stable, calls*(1-served), both, 0, s.HangsBoth)
	canary = r.side(1, r.canary, calls*served, both, s.Worse(r.at), s.HangsBoth+s.Hangs)
	r.Calls += calls * served
	r.Failed += calls * served * (s.Worse(r.at) + s.Hangs)
	r.at += time.Second
	if late := int(s.Late / time.Second); late > 0 {
		r.waiting = append(r.waiting, canary)
		canary = judge.Counts{}
		if len(r.waiting) > late {
			canary, r.waiting = r.waiting[0], r.waiting[1:]
		}
	}
	if s.Batch > time.Second {
		r.batch[0], r.batch[1] = plus(r.batch[0], stable), plus(r.batch[1], canary)
		if r.at%s.Batch != 0 {
			return canary, stable, 0, false
		}
		stable, canary = r.batch[0], r.batch[1]
		r.batch = [2]judge.Counts{}
		return canary, stable, s.Batch, true
	}
	return canary, stable, time.Second, true
}

// side is what the pods of one version answer in a second.
func (r *Run) side(side int, pods []*pod, calls, both, worse, hangs float64) judge.Counts {
	s := r.service
	out := judge.Counts{TellsBegun: true, TellsCancelled: true}
	mean, usual := calls/float64(max(1, len(pods))), 0.0
	latencies := s.Latency
	if side == 1 && s.Slower != nil {
		latencies = s.Slower
	}
	for _, p := range pods {
		rate := both * p.factor
		if s.Blip.Length > 0 && both > 0 {
			rate = r.blip(p, both)
		}
		rate += worse
		if s.ColdFor > 0 && side == 1 && r.at-p.born < s.ColdFor {
			rate += s.ColdErrors
		}
		rate = min(rate, 1)
		answered := mean * (1 - min(hangs, 1))
		failed := r.errors(answered * rate)
		ok := traffic.Poisson(r.random, answered*(1-rate))
		out.Calls, out.Errors = out.Calls+failed+ok, out.Errors+failed
		out.Pods = append(out.Pods, judge.PodCounts{ID: p.id, Calls: failed + ok, Errors: failed})
		if latencies == nil {
			continue
		}
		if r.stalls(p) {
			out.Latencies = addBuckets(out.Latencies, r.draw(mean, s.Stall.Times, latencies))
		} else {
			usual += mean
		}
	}
	if latencies != nil {
		out.Latencies = addBuckets(out.Latencies, r.draw(usual, 1, latencies))
	}
	if s.Streams {
		out.Begun = out.Calls
		r.inFlight[side] += out.Calls - out.Errors
		out.Calls, out.InFlight = out.Errors, r.inFlight[side]
		for i := range out.Pods {
			out.Pods[i].Calls = out.Pods[i].Errors
		}
		return out
	}
	gone := traffic.Poisson(r.random, calls*min(hangs, 1))
	out.Begun = out.Calls + gone
	out.Cancelled = r.giveUp(side, gone)
	out.InFlight = r.inFlight[side]
	return out
}

// giveUp takes calls that hang, and returns those whose callers give up.
func (r *Run) giveUp(side int, hang uint64) uint64 {
	r.inFlight[side] += hang
	if r.service.Deadline == 0 {
		return 0
	}
	r.hanging[side] = append(r.hanging[side], hang)
	if len(r.hanging[side]) <= int(r.service.Deadline/time.Second) {
		return 0
	}
	gone := r.hanging[side][0]
	r.hanging[side] = r.hanging[side][1:]
	r.inFlight[side] -= gone
	return gone
}

func (r *Run) blip(p *pod, mean float64) float64 {
	b := r.service.Blip
	if p.blip > 0 {
		p.blip -= time.Second
		return b.Fails
	}
	if r.random.Float64() < mean/b.Fails/b.Length.Seconds() {
		p.blip = b.Length - time.Second
		return b.Fails
	}
	return 0
}

// stalls says whether a pod is slow in this second.
func (r *Run) stalls(p *pod) bool {
	stall := r.service.Stall
	switch {
	case stall.Every == 0:
		return false
	case p.stall > 0:
		p.stall -= time.Second
		return true
	case r.random.Float64() < 1/stall.Every.Seconds():
		p.stall = stall.Length - time.Second
		return true
	}
	return false
}

func (r *Run) errors(mean float64) uint64 {
	cluster := r.service.Cluster
	if cluster <= 1 {
		return traffic.Poisson(r.random, mean)
	}
	var errors uint64
	for range traffic.Poisson(r.random, mean/cluster) {
		errors++
		for r.random.Float64() > 1/cluster {
			errors++
		}
	}
	return errors
}

func (r *Run) draw(calls, slower float64, latencies Latencies) []judge.Bucket {
	bounds, shares := latencies(slower)
	buckets := make([]judge.Bucket, len(bounds))
	for i := range bounds {
		buckets[i] = judge.Bucket{UpTo: bounds[i], Count: traffic.Poisson(r.random, calls*shares[i])}
	}
	return buckets
}

func addBuckets(sum, more []judge.Bucket) []judge.Bucket {
	if sum == nil {
		return more
	}
	for i := range more {
		sum[i].Count += more[i].Count
	}
	return sum
}

func plus(a, b judge.Counts) judge.Counts {
	a.Calls, a.Errors, a.Cancelled, a.Begun = a.Calls+b.Calls, a.Errors+b.Errors, a.Cancelled+b.Cancelled, a.Begun+b.Begun
	a.InFlight, a.TellsBegun, a.TellsCancelled = b.InFlight, b.TellsBegun, b.TellsCancelled
	a.Latencies = addBuckets(a.Latencies, b.Latencies)
	for _, p := range b.Pods {
		found := false
		for i := range a.Pods {
			if a.Pods[i].ID == p.ID {
				a.Pods[i].Calls, a.Pods[i].Errors, found = a.Pods[i].Calls+p.Calls, a.Pods[i].Errors+p.Errors, true
			}
		}
		if !found {
			a.Pods = append(a.Pods, p)
		}
	}
	return a
}

// gamma draws from the gamma distribution with the given shape and scale 1 (Marsaglia and Tsang, A simple method for generating gamma
// variables, 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(r.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
