package judge

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWindowKeepsItsCallsAndItsSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, calls := window{}, uint64(0)
		for range rapid.IntRange(1, 150).Draw(t, "buckets") {
			b := Bucket{UpTo: time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "up to")), Count: rapid.Uint64Range(0, 50).Draw(t, "count")}
			w = w.with([]Bucket{b})
			calls += b.Count
		}
		if w.calls() != calls || len(w.upTo) > mostBins || w.upTo[len(w.upTo)-1] != Infinity {
			t.Fatalf("%d calls in %v, want %d", w.calls(), w.upTo, calls)
		}
	})
}
