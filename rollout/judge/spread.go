package judge

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
)

// spread measures how much the pods of stable differ: how many times as much as independent errors of equal pods would let them. What is asked
// for against a canary grows with it, because a canary is a few pods.
//
// Two times matter. Within a block, errors come in clumps; over the whole rollout, some pods are worse for good. Both are Pearson's
// dispersion: the sum of (errors - expected)^2 over that of expected, each pod compared with all in the same time, so that
// what all pods share is no difference.
type spread struct {
	pods []podSum
	// squares, expected and variance are sums over blocks and pods; variance is that of squares if errors are independent.
	squares, expected, variance milli
}

// podSum are the calls of one pod: in the open block, and in all before it.
type podSum struct {
	id                  uint32
	calls, errors       uint64
	allCalls, allErrors uint64
}

// milli is a number in thousandths, from 0 to mostMilli.
type milli int64

// mostMilli bounds sums, so that those of a large service over months do not overflow.
const mostMilli milli = 1e18

// plus adds a number of at most 1e12.
func (m milli) plus(x float64) milli { return min(m+milli(min(max(x, 0), 1e12)*1000), mostMilli) }

const (
	// mostPods is how many pods are remembered: those whose IDs have the smallest hashes.
	mostPods = 16
	// leastPods is how many pods it takes to tell how much they differ.
	leastPods = 3
	// assumed is the number of errors that the assumption of equal pods counts for.
	assumed = 10
	// mostSpread bounds the factor.
	mostSpread = 50
)

// hear adds the calls of pods to the open block.
func (d spread) hear(pods []PodCounts) spread {
	if len(pods) == 0 {
		return d
	}
	d.pods = slices.Clone(d.pods)
	for _, pod := range pods {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(pod.ID))
		id := hash.Sum32()
		at, found := slices.BinarySearchFunc(d.pods, id, func(p podSum, id uint32) int { return cmp.Compare(p.id, id) })
		if !found {
			if at >= mostPods {
				continue
			}
			d.pods = slices.Insert(d.pods, at, podSum{id: id})
		}
		d.pods[at].calls = addUp(d.pods[at].calls, pod.Calls)
		d.pods[at].errors = addUp(d.pods[at].errors, min(pod.Errors, pod.Calls))
	}
	d.pods = d.pods[:min(len(d.pods), mostPods)]
	return d
}

// failing is how many pods had calls in the open block, and errors.
func (d spread) failing() (known, failing int) {
	for _, p := range d.pods {
		if p.calls > 0 {
			known++
		}
		if p.errors > 0 {
			failing++
		}
	}
	return known, failing
}

// close takes the open block in. What happens in an outage is no measure of anything else.
func (d spread) close(outage bool) spread {
	if len(d.pods) == 0 {
		return d
	}
	if !outage {
		squares, expected, variance, _ := dispersion(d.pods, func(p podSum) (uint64, uint64) { return p.calls, p.errors })
		d.squares = d.squares.plus(squares)
		d.expected = d.expected.plus(expected)
		d.variance = d.variance.plus(variance)
	}
	pods := make([]podSum, 0, len(d.pods))
	for _, p := range d.pods {
		if p.calls == 0 {
			continue // it is gone, or has no calls: what it did is in the sums over blocks
		}
		if !outage {
			p.allCalls, p.allErrors = addUp(p.allCalls, p.calls), addUp(p.allErrors, p.errors)
		}
		p.calls, p.errors = 0, 0
		pods = append(pods, p)
	}
	d.pods = pods
	return d
}

// dispersion compares pods with all of them.
func dispersion(pods []podSum, of func(podSum) (calls, errors uint64)) (squares, expected, variance float64, n int) {
	var calls, errors float64
	for _, p := range pods {
		c, e := of(p)
		calls, errors = calls+float64(c), errors+float64(e)
		if c > 0 {
			n++
		}
	}
	if n < leastPods || errors == 0 {
		return 0, 0, 0, n
	}
	for _, p := range pods {
		c, e := of(p)
		mean := errors * float64(c) / calls
		squares += (float64(e) - mean) * (float64(e) - mean)
		expected += mean
		variance += mean + 2*mean*mean
	}
	// The mean is of the same pods: their distances from it are smaller than those from the true one.
	return squares * float64(n) / float64(n-1), expected, variance, n
}

// factor is how many times as much evidence is asked for, at least 1. Both dispersions count for what they surely are: less one standard
// deviation within blocks, and the lower bound of 95 % of chi-squared for the few numbers of the pods' totals.
func (d spread) factor() float64 {
	squares, expected := float64(d.squares)/1000, float64(d.expected)/1000
	within := (squares + assumed - math.Sqrt(float64(d.variance)/1000)) / (expected + assumed)

	squares, expected, _, n := dispersion(d.pods, func(p podSum) (uint64, uint64) { return p.allCalls, p.allErrors })
	between := 1.0
	if n >= leastPods && expected > 0 {
		free := float64(n - 1)
		between = squares / expected / (1 + 1.645*math.Sqrt(2/free))
	}
	return min(max(1, within, between), mostSpread)
}
