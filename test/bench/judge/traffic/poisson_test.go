package traffic

import (
	"math"
	"testing"
)

func TestPoissonHasTheMeanAndVarianceOfPoisson(t *testing.T) {
	for _, mean := range []float64{0.02, 0.9, 9.9, 10, 47, 1000} {
		r := Rand(1, 1)
		const n = 200_000
		var sum, squares float64
		for range n {
			k := float64(Poisson(r, mean))
			sum += k
			squares += (k - mean) * (k - mean)
		}
		if got, slack := sum/n, 5*math.Sqrt(mean/n); math.Abs(got-mean) > slack {
			t.Errorf("mean %v: drew a mean of %v, more than %v off", mean, got, slack)
		}
		if got, slack := squares/n, 5*math.Sqrt((mean+2*mean*mean)/n); math.Abs(got-mean) > slack {
			t.Errorf("mean %v: drew a variance of %v, more than %v off", mean, got, slack)
		}
	}
}
