package server

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestSamplesFollowTheDistribution(t *testing.T) {
	for name, test := range map[string]struct {
		distribution Distribution
		mean, stddev time.Duration
	}{
		"constant":  {Constant{Value: 100 * time.Millisecond}, 100 * time.Millisecond, 0},
		"uniform":   {Uniform{Min: 0, Max: 120 * time.Millisecond}, 60 * time.Millisecond, 34641 * time.Microsecond},
		"normal":    {Normal{Mean: 100 * time.Millisecond, StdDev: 10 * time.Millisecond}, 100 * time.Millisecond, 10 * time.Millisecond},
		"lognormal": {LogNormal{Mean: 100 * time.Millisecond, StdDev: 50 * time.Millisecond}, 100 * time.Millisecond, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			const samples = 50_000
			source := rand.New(rand.NewPCG(1, 2))
			var sum, squares float64
			for range samples {
				sample := float64(test.distribution.Sample(source))
				sum += sample
				squares += sample * sample
			}
			mean := sum / samples
			stddev := math.Sqrt(max(squares/samples-mean*mean, 0))
			const tolerance = 0.03
			if math.Abs(mean-float64(test.mean)) > tolerance*float64(test.mean) {
				t.Errorf("mean is %s, want about %s", time.Duration(mean), test.mean)
			}
			// The mean's tolerance also covers what cancellation leaves of a constant.
			if math.Abs(stddev-float64(test.stddev)) > tolerance*float64(test.mean) {
				t.Errorf("standard deviation is %s, want about %s", time.Duration(stddev), test.stddev)
			}
		})
	}
}

func TestSamplesAreNeverNegative(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for _, distribution := range []Distribution{
		Normal{Mean: time.Millisecond, StdDev: time.Second},
		LogNormal{Mean: time.Nanosecond, StdDev: math.MaxInt64},
		Uniform{},
	} {
		for range 1000 {
			if sample := distribution.Sample(source); sample < 0 {
				t.Fatalf("%s gave %s", distribution, sample)
			}
		}
	}
}

func TestInvalidDistributionsNameTheParameter(t *testing.T) {
	for parameter, distribution := range map[string]Distribution{
		"value":  Constant{Value: -1},
		"min":    Uniform{Min: -1},
		"max":    Uniform{Min: 2, Max: 1},
		"stddev": Normal{StdDev: -1},
		"mean":   LogNormal{},
	} {
		err := distribution.validate()
		if err == nil || !strings.HasPrefix(err.Error(), "parameter "+parameter+" ") {
			t.Errorf("%s: error is %v, want one about %s", distribution, err, parameter)
		}
	}
}
