package service

import (
	"math"
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// Shape is a distribution of latencies: the share of calls up to a latency in seconds.
type Shape func(seconds float64) float64

// LogNormal has the given median in seconds and standard deviation of the logarithm.
func LogNormal(median, sigma float64) Shape {
	return func(x float64) float64 {
		if x <= 0 {
			return 0
		}
		return 0.5 * math.Erfc(-math.Log(x/median)/sigma/math.Sqrt2)
	}
}

// Bimodal are fast calls and a tenth that is slow.
var Bimodal = Mixed(0.9, LogNormal(0.02, 0.6), LogNormal(0.2, 0.7))

// Mixed takes share of the calls from a, the others from b.
func Mixed(share float64, a, b Shape) Shape {
	return func(x float64) float64 { return share*a(x) + (1-share)*b(x) }
}

// Slower makes a share of the calls slower times slower.
func (s Shape) Slower(slower, share float64) Shape {
	return Mixed(share, func(x float64) float64 { return s(x / slower) }, s)
}

// A66 are the bounds of gRPC's histograms in seconds, without the infinite one
// (https://github.com/grpc/proposal/blob/master/A66-otel-stats.md).
var A66 = []float64{
	0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02,
	0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
}

// In sorts a shape into buckets.
func (s Shape) In(bounds []float64) Latencies {
	upTo := make([]time.Duration, len(bounds)+1)
	for i, bound := range bounds {
		upTo[i] = judge.Seconds(bound)
	}
	upTo[len(bounds)] = judge.Infinity
	shares := func(slower float64) []float64 {
		list := make([]float64, len(upTo))
		below := 0.0
		for i, bound := range bounds {
			up := s(bound / slower)
			list[i] = up - below
			below = up
		}
		list[len(bounds)] = 1 - below
		return list
	}
	usual := shares(1)
	return func(slower float64) ([]time.Duration, []float64) {
		if slower == 1 {
			return upTo, usual
		}
		return upTo, shares(slower)
	}
}
