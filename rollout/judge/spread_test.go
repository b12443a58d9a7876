package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// spreadOf gives the factor after blocks in each of which pods have as many calls each, and errors as they are drawn.
func spreadOf(pods, blocks int, calls uint64, errors func(pod int) uint64) spread {
	var d spread
	for range blocks {
		var list []PodCounts
		for pod := range pods {
			list = append(list, PodCounts{ID: fmt.Sprint("stable-", pod), Calls: calls, Errors: errors(pod)})
		}
		d = d.hear(list).close(false)
	}
	return d
}

// meanFactor is the mean factor of some runs.
func meanFactor(pods, blocks int, calls uint64, errors func(r *rand.Rand, pod int) uint64) float64 {
	total := 0.0
	const runs = 60
	for run := range uint64(runs) {
		r := traffic.Rand(35, run)
		total += spreadOf(pods, blocks, calls, func(pod int) uint64 { return errors(r, pod) }).factor()
	}
	return total / runs
}

func TestIndependentErrorsOfEqualPodsAskForNoMore(t *testing.T) {
	for _, pods := range []int{3, 5, 12} {
		for _, mean := range []float64{0.01, 0.1, 1, 10} {
			for _, blocks := range []int{6, 60, 360} {
				got := meanFactor(pods, blocks, 1000, func(r *rand.Rand, _ int) uint64 { return traffic.Poisson(r, mean) })
				if got > 1.15 {
					t.Errorf("%d pods, %v errors of each in a block, %d blocks: a mean factor of %.2f", pods, mean, blocks, got)
				}
			}
		}
	}
}

func TestErrorsInClumpsAskForMore(t *testing.T) {
	clumps := func(mean float64) func(r *rand.Rand, _ int) uint64 {
		return func(r *rand.Rand, _ int) uint64 { return 5 * traffic.Poisson(r, mean/5) }
	}
	for _, pods := range []int{3, 5, 12} {
		if got := meanFactor(pods, 360, 1000, clumps(1)); got < 4 || got > 6.5 {
			t.Errorf("%d pods, clumps of five: a mean factor of %.2f", pods, got)
		}
	}
	few, many := meanFactor(5, 6, 1000, clumps(0.1)), meanFactor(5, 360, 1000, clumps(0.1))
	if few >= many {
		t.Errorf("a factor of %.2f from a few errors, %.2f from many", few, many)
	}
}

func TestPodsThatDifferForGoodAskForMore(t *testing.T) {
	got := meanFactor(6, 360, 1000, func(r *rand.Rand, pod int) uint64 { return traffic.Poisson(r, []float64{0.5, 2}[pod%2]) })
	if got < 5 {
		t.Errorf("half of the pods fail four times as often: a mean factor of %.2f", got)
	}
}

// What all pods share, such as an error rate that changes, is no difference.
func TestErrorsThatAllPodsShareAreNoDifference(t *testing.T) {
	i := 0
	got := meanFactor(6, 120, 1000, func(r *rand.Rand, _ int) uint64 { i++; return traffic.Poisson(r, []float64{0.1, 5}[i/60%2]) })
	if got > 1.2 {
		t.Errorf("an error rate that changes: a mean factor of %.2f", got)
	}
}

func TestOfManyPodsTheSameFewAreRemembered(t *testing.T) {
	ids := func(d spread) (list []uint32) {
		for _, p := range d.pods {
			list = append(list, p.id)
		}
		return list
	}
	r := traffic.Rand(36, 0)
	var pods []PodCounts
	for i := range 200 {
		pods = append(pods, PodCounts{ID: fmt.Sprint("pod-", i), Calls: 10, Errors: 1})
	}
	first := spread{}.hear(pods)
	if len(first.pods) != mostPods || !slices.IsSorted(ids(first)) {
		t.Fatalf("remembered are %v", ids(first))
	}
	d := first
	for range 50 {
		r.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		if d = d.hear(pods); !slices.Equal(ids(d), ids(first)) {
			t.Fatalf("other pods: %v, at first %v", ids(d), ids(first))
		}
		d = d.close(false)
	}
	for _, p := range d.pods {
		if p.allCalls != 510 {
			t.Errorf("of pod %d %d calls are known", p.id, p.allCalls)
		}
	}
}

func TestPodsThatAreGoneMakeRoom(t *testing.T) {
	d := spread{}.hear([]PodCounts{{ID: "a", Calls: 5}, {ID: "b", Calls: 5}}).close(false)
	d = d.hear([]PodCounts{{ID: "b", Calls: 5}}).close(false)
	if len(d.pods) != 1 {
		t.Errorf("remembered are %+v", d.pods)
	}
}

func TestTheFactorIsBounded(t *testing.T) {
	huge := uint64(1) << 60
	d := spreadOf(4, 40, huge, func(pod int) uint64 { return []uint64{huge, 0, 0, 0}[pod] })
	if got := d.factor(); got != mostSpread {
		t.Errorf("one pod fails everything, for ever: a factor of %v", got)
	}
	if got := (spread{}).factor(); got != 1 {
		t.Errorf("without pods: %v", got)
	}
	if got := spreadOf(2, 40, 10, func(pod int) uint64 { return []uint64{10, 0}[pod] }).factor(); got != 1 {
		t.Errorf("two pods are too few to differ: %v", got)
	}
	j := onlyErrors()
	s := State{key: j.key(), spread: d}
	if v := j.Decide(s); math.Abs(v.Threshold-mostSpread*math.Log(100)) > 1e-6 || v.Spread != mostSpread {
		t.Errorf("the threshold is %v", v.Threshold)
	}
}

// Sums over months of a large service stay numbers that are written and read.
func TestSpreadOfMonthsIsReadBack(t *testing.T) {
	d := spread{}
	for range 20_000 {
		d = d.hear([]PodCounts{{ID: "a", Calls: 1 << 40, Errors: 1 << 39}, {ID: "b", Calls: 1 << 40}, {ID: "c", Calls: 1 << 40}}).close(false)
	}
	if d.squares < 0 || d.expected < 0 || d.variance < 0 {
		t.Fatalf("it overflows: %d, %d, %d", d.squares, d.expected, d.variance)
	}
	s := State{spread: d}
	if back, err := ParseState(s.String()); err != nil || back.String() != s.String() {
		t.Errorf("%q reads as %q, %v", s, back, err)
	}
}
