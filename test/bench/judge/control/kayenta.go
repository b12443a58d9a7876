package control

import (
	"math"
	"slices"
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// Kayenta judges one critical metric that may only not increase, as the NetflixACAJudge does with its defaults (spinnaker/kayenta at
// a69573be, MannWhitneyClassifier and MannWhitney.scala: tolerance 0.25, confidence 0.98): on a point a minute and not on calls,
// once a minute from the fifth on, over all minutes so far.
type Kayenta struct {
	// Metric gives the point of one minute. NaN points are left out.
	Metric func(judge.Counts) float64

	elapsed        time.Duration
	canary, stable judge.Counts
	x, y           []float64
}

// ErrorRatio is the share of failed calls.
func ErrorRatio(n judge.Counts) float64 { return float64(n.Errors) / float64(n.Calls) }

// P99 is the 99th percentile of the latency in seconds, interpolated within its bucket as histogram_quantile does.
func P99(n judge.Counts) float64 {
	var total, below float64
	for _, b := range n.Latencies {
		total += float64(b.Count)
	}
	lower := 0.0
	for _, b := range n.Latencies {
		if b.UpTo == judge.Infinity {
			break
		}
		if below+float64(b.Count) >= 0.99*total {
			return lower + (b.UpTo.Seconds()-lower)*(0.99*total-below)/float64(b.Count)
		}
		below += float64(b.Count)
		lower = b.UpTo.Seconds()
	}
	return lower
}

// RollBack says whether the metric is classified as High.
func (w *Kayenta) RollBack(t judge.Tick) bool {
	w.canary, w.stable = add(w.canary, t.Canary), add(w.stable, t.Stable)
	w.elapsed += t.Elapsed
	if w.elapsed < time.Minute {
		return false
	}
	w.elapsed = 0
	w.x, w.y = appendNumber(w.x, w.Metric(w.canary)), appendNumber(w.y, w.Metric(w.stable))
	w.canary, w.stable = judge.Counts{}, judge.Counts{}
	return len(w.x) >= 5 && len(w.y) >= 5 && high(w.x, w.y)
}

func appendNumber(list []float64, x float64) []float64 {
	if math.IsNaN(x) {
		return list
	}
	return append(list, x)
}

// high says whether x is higher than y: the lower limit of the shift between them is above a quarter of the shift, and the mean is.
func high(x, y []float64) bool {
	meanX, meanY := mean(x), mean(y)
	if meanX < meanY {
		return false
	}
	if a, b := slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y)); slices.Equal(a, b) {
		return false
	}
	if slices.Min(x) == slices.Max(x) && slices.Min(y) == slices.Max(y) {
		return meanX > meanY
	}
	shift := root(x, y, 0)
	return root(x, y, 2.326) > 0.25*math.Abs(shift)
}

// root is the shift at which the statistic of the shifted samples is z. Where many points are alike it jumps over z at exactly no
// shift, which a search only comes close to.
func root(x, y []float64, z float64) float64 {
	low, up := slices.Min(x)-slices.Max(y), slices.Max(x)-slices.Min(y)
	for range 30 {
		if middle := (low + up) / 2; statistic(x, y, middle) > z {
			low = middle
		} else {
			up = middle
		}
	}
	shift := (low + up) / 2
	if math.Abs(shift) < 1e-7 {
		return 0
	}
	return shift
}

// statistic is the normal approximation of Wilcoxon's rank sum of x-shift among y, corrected for ties and continuity.
func statistic(x, y []float64, shift float64) float64 {
	type point struct {
		value  float64
		canary bool
	}
	points := make([]point, 0, len(x)+len(y))
	for _, v := range x {
		points = append(points, point{v - shift, true})
	}
	for _, v := range y {
		points = append(points, point{v, false})
	}
	slices.SortFunc(points, func(a, b point) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(points); {
		end := i
		for end < len(points) && points[end].value == points[i].value {
			end++
		}
		size := float64(end - i)
		ties += size*size*size - size
		for ; i < end; i++ {
			if points[i].canary {
				ranks += float64(end) - (size-1)/2
			}
		}
	}
	nx, ny := float64(len(x)), float64(len(y))
	z := ranks - nx*(nx+1)/2 - nx*ny/2
	sigma := math.Sqrt(nx * ny / 12 * (nx + ny + 1 - ties/((nx+ny)*(nx+ny-1))))
	if z == 0 || sigma == 0 {
		return 0
	}
	return (z - math.Copysign(0.5, z)) / sigma
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}
