// Package traffic draws the counts of simulated calls, by tick and not by call: calls that arrive independently, each with its own
// outcome, give independent Poisson counts by outcome.
package traffic

import (
	"math"
	"math/rand/v2"
)

// Rand returns a generator with a fixed seed for run number run.
func Rand(seed, run uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, run)) }

// Poisson draws a count with the given mean: by inversion when the mean is small, else by PTRS (Hoermann, The transformed
// rejection method for generating Poisson random variables, 1993).
func Poisson(r *rand.Rand, mean float64) uint64 {
	switch {
	case mean <= 0:
		return 0
	case mean < 10:
		u, k := r.Float64(), uint64(0)
		for p := math.Exp(-mean); u > p && p > 0; {
			u -= p
			k++
			p *= mean / float64(k)
		}
		return k
	}
	b := 0.931 + 2.53*math.Sqrt(mean)
	a := -0.059 + 0.02483*b
	inverse := 1.1239 + 1.1328/(b-3.4)
	accept := 0.9277 - 3.6224/(b-2)
	lnMean := math.Log(mean)
	for {
		u := r.Float64() - 0.5
		v := r.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + 0.43)
		if us >= 0.07 && v <= accept {
			return uint64(k)
		}
		if k < 0 || (us < 0.013 && v > us) {
			continue
		}
		lnFactorial, _ := math.Lgamma(k + 1)
		if math.Log(v)+math.Log(inverse)-math.Log(a/(us*us)+b) <= k*lnMean-mean-lnFactorial {
			return uint64(k)
		}
	}
}
