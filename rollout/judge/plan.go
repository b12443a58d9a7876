package judge

import (
	"math"
	"time"
)

// Traffic is what is known of the calls of a service: how many come in a second, and the share of them that fails.
type Traffic struct{ CallsPerSecond, ErrorRate float64 }

// overhead is what a proof takes beyond its threshold in nats, because it does not know beforehand what there is to be seen.
const overhead = 0.4

// Plan says how long it takes to prove, at a constant traffic, that a canary which is as good as stable may have each of the next shares: by
// step, with the weights that the canary has and the time that each step lasts at least. Half of the rollouts take less.
func (j Judge) Plan(traffic Traffic, weights []int32, least []time.Duration) []time.Duration {
	j = j.withDefaults()
	need := -math.Log(j.Beta) + overhead
	known := make([]float64, len(weights)) // nats for each share so far
	times := make([]time.Duration, len(weights))
	for i, weight := range weights {
		gain := func(to int) float64 { return j.gainPerSecond(traffic, weight, shareAfter(weights, to)) }
		missing := max(need-known[i], freshThreshold+overhead/2)
		times[i] = blockLength
		if rate := gain(i); rate > 0 {
			times[i] = later(times[i], time.Duration(min(missing/rate, secondsOfAYear)*float64(time.Second)))
		} else {
			times[i] = Infinity
		}
		if i < len(least) {
			times[i] = max(times[i], least[i])
		}
		for to := i; to < len(weights); to++ {
			known[to] += gain(to) * max(0, times[i].Seconds()-blockLength.Seconds())
		}
	}
	return times
}

const secondsOfAYear = 365 * 24 * 3600

// shareAfter is the share that follows a step.
func shareAfter(weights []int32, step int) int32 {
	if step+1 < len(weights) {
		return weights[step+1]
	}
	return allParts
}

// gainPerSecond is the mean evidence in a second, in nats, for giving a share to a canary that is as good as stable and has weight.
func (j Judge) gainPerSecond(traffic Traffic, weight, share int32) float64 {
	canary := traffic.CallsPerSecond * float64(weight) / allParts
	stable := traffic.CallsPerSecond - canary
	if canary <= 0 || stable <= 0 {
		return 0
	}
	best := math.Inf(1)
	if j.Errors != nil {
		best = min(best, provingGain(j.Errors.Prove.At(share), canary, stable, traffic.ErrorRate))
	}
	if j.Latency != nil && j.Latency.Prove != nil {
		best = min(best, provingGain(j.Latency.Prove.At(share), canary, stable, 1-slowFrom))
	}
	if math.IsInf(best, 1) {
		return 0
	}
	return best
}

// provingGain is what the best alternative gains in a second.
func provingGain(allowed Margin, canary, stable, rate float64) float64 {
	c := oneBucket(allowed, nil)
	best := canary * c.difference
	if rate > 0 {
		best = 0
	}
	for part := 0.02; part < 1; part += 0.02 {
		best = max(best, c.meanGain(part*allowed.Ratio, canary, stable, rate))
	}
	return best
}

// Remaining is how long the gates will still take, as Plan says it: 0 when all are passed, Infinity when nothing is gained.
func (j Judge) Remaining(v Verdict, traffic Traffic, weight int32) time.Duration {
	if len(j.Shares) == 0 || len(v.Gates) == 0 {
		return 0
	}
	missing := 0.0
	for _, g := range v.Gates {
		if !g.Passed() {
			missing = max(missing, g.Threshold-g.Evidence, g.FreshNeeded-g.Fresh)
		}
	}
	if missing <= 0 {
		return 0
	}
	rate := j.gainPerSecond(traffic, weight, j.Shares[0])
	if rate <= 0 {
		return Infinity
	}
	return blockLength + time.Duration(min(missing/rate, secondsOfAYear)*float64(time.Second))
}
