package gateway

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestNextWeightsArrive: from any weights to any others in at most three steps, none of which gives
// a backend without weight more than the least, or takes more than the least away at once for good.
func TestNextWeightsArrive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawWeights(t, "live"), drawWeights(t, "want")
		for step := 1; ; step++ {
			next := nextWeights(live, want)
			positive := false
			for name, weight := range next {
				positive = positive || weight > 0
				if live[name] == 0 && weight > leastWeight {
					t.Fatalf("step %d gives %s %d at once: %v -> %v", step, name, weight, live, next)
				}
				if live[name] > leastWeight && weight == 0 {
					t.Fatalf("step %d takes everything from %s at once: %v -> %v", step, name, live, next)
				}
			}
			if !positive {
				t.Fatalf("step %d leaves no weight: %v -> %v", step, live, next)
			}
			if maps.Equal(next, want) {
				return
			}
			if step == 3 {
				t.Fatalf("not there after three steps: %v, want %v", next, want)
			}
			live = next
		}
	})
}

func drawWeights(t *rapid.T, what string) map[string]int32 {
	first := rapid.SampledFrom([]int32{0, 1, 100_000, 500_000, 999_999, TotalWeight}).Draw(t, what)
	weights := map[string]int32{"a": 0, "b": 0, "c": 0}
	names := rapid.Permutation([]string{"a", "b", "c"}).Draw(t, what+" order")
	weights[names[0]], weights[names[1]] = first, TotalWeight-first
	return weights
}
