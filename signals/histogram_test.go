package signals

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// histogramOf makes a classic histogram of bounds and counts.
func histogramOf(pairs ...int64) Histogram {
	var out Histogram
	from := fromZero
	for i := 0; i < len(pairs); i += 2 {
		upTo := time.Duration(pairs[i])
		out = append(out, Bucket{From: from, UpTo: upTo, Count: float64(pairs[i+1])})
		from = upTo
	}
	return out
}

const unbounded = int64(Unbounded)

func TestHistogramsAreAlignedToTheBucketsThatHoldThoseOfAll(t *testing.T) {
	for name, c := range map[string]struct{ a, b, wantA, wantB Histogram }{
		"equal bounds stay": {
			histogramOf(10, 1, 20, 2, unbounded, 3), histogramOf(10, 4, 20, 5, unbounded, 6),
			histogramOf(10, 1, 20, 2, unbounded, 3), histogramOf(10, 4, 20, 5, unbounded, 6),
		},
		"a bound that one alone has goes": {
			histogramOf(10, 1, 20, 2, unbounded, 3), histogramOf(20, 4, unbounded, 5),
			histogramOf(20, 3, unbounded, 3), histogramOf(20, 4, unbounded, 5),
		},
		"bounds that nothing has in common leave one bucket": {
			histogramOf(10, 1, unbounded, 2), histogramOf(15, 3, unbounded, 4),
			histogramOf(unbounded, 3), histogramOf(unbounded, 7),
		},
		"of two resolutions the lower is taken, and buckets without calls may be missing": {
			a: Histogram{{4, 8, 5}, {16, 32, 1}}, b: Histogram{{4, 5, 1}, {6, 7, 2}, {64, 128, 9}},
			wantA: Histogram{{4, 8, 5}, {16, 32, 1}, {64, 128, 0}}, wantB: Histogram{{4, 8, 3}, {16, 32, 0}, {64, 128, 9}},
		},
		"one that is empty takes the buckets of the other": {
			histogramOf(10, 1, unbounded, 2), nil, histogramOf(10, 1, unbounded, 2), histogramOf(10, 0, unbounded, 0),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Align(c.a, c.b)
			if !slices.Equal(got[0], c.wantA) || !slices.Equal(got[1], c.wantB) {
				t.Errorf("%v\n%v\nwant\n%v\n%v", got[0], got[1], c.wantA, c.wantB)
			}
		})
	}
}

// anyClassic draws a classic histogram.
func anyClassic(t *rapid.T, name string) Histogram {
	bounds := rapid.SliceOfNDistinct(rapid.Int64Range(1, 40), 0, 12, rapid.ID).Draw(t, name+" bounds")
	slices.Sort(bounds)
	var pairs []int64
	for _, bound := range append(bounds, unbounded) {
		pairs = append(pairs, bound, rapid.Int64Range(0, 9).Draw(t, name+" count"))
	}
	return histogramOf(pairs...)
}

// Aligning loses no call and moves none across a bound that is left, so that the calls up to each such bound stay the same.
func TestAligningKeepsTheCallsUpToEachBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyClassic(t, "a"), anyClassic(t, "b")
		both := Align(a, b)
		for i, was := range []Histogram{a, b} {
			for _, bucket := range both[i] {
				if now := upTo(both[i], bucket.UpTo); now != upTo(was, bucket.UpTo) {
					t.Fatalf("%v calls up to %s, were %v", now, bucket.UpTo, upTo(was, bucket.UpTo))
				}
			}
			if !slices.EqualFunc(both[0], both[i], func(a, b Bucket) bool { return a.From == b.From && a.UpTo == b.UpTo }) {
				t.Fatalf("the buckets differ: %v and %v", both[0], both[i])
			}
		}
	})
}

// What a histogram grew by is the other that was added to it.
func TestAHistogramGrewByWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		was, more := anyClassic(t, "was"), anyClassic(t, "more")
		grown, fell := was.Plus(more).minus(was)
		if fell || grown.Calls() != more.Calls() {
			t.Fatalf("grew by %v (fell: %t), added %v", grown, fell, more)
		}
	})
}

func upTo(h Histogram, bound time.Duration) float64 {
	sum := 0.0
	for _, bucket := range h {
		if bucket.UpTo <= bound {
			sum += bucket.Count
		}
	}
	return sum
}

func TestAHistogramThatLostCallsInABucketFell(t *testing.T) {
	was := histogramOf(10, 5, 20, 5, unbounded, 5)
	for name, c := range map[string]struct {
		now  Histogram
		fell bool
	}{
		"the same":                   {was, false},
		"more everywhere":            {histogramOf(10, 6, 20, 5, unbounded, 9), false},
		"as many in all, one fewer":  {histogramOf(10, 4, 20, 6, unbounded, 5), true},
		"started again with more":    {histogramOf(10, 0, 20, 50, unbounded, 50), true},
		"a bucket of none is gone":   {Histogram{{fromZero, 10, 5}, {10, 20, 5}}, true},
		"in half as many buckets":    {histogramOf(20, 12, unbounded, 5), false},
		"in fewer, and with fewer":   {histogramOf(20, 9, unbounded, 5), true},
		"with a bound that was none": {histogramOf(10, 5, 15, 1, 20, 6, unbounded, 5), false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, fell := c.now.minus(was); fell != c.fell {
				t.Errorf("fell: %t", fell)
			}
		})
	}
}

func TestClassicHistogramsThatAreNoneAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		buckets []cumulative
		words   string
	}{
		"without its last bucket": {[]cumulative{{0.1, 1}}, "+Inf"},
		"empty":                   {nil, "+Inf"},
		"falling":                 {[]cumulative{{0.1, 5}, {0.2, 4}, {inf, 6}}, "fewer calls up to 0.2"},
		"with a bound twice":      {[]cumulative{{0.1, 5}, {0.1, 5}, {inf, 6}}, "two buckets"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := classic(c.buckets); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	got, err := classic([]cumulative{{inf, 9}, {0.1, 4}, {0, 1}})
	if want := (Histogram{{fromZero, 0, 1}, {0, 100 * time.Millisecond, 3}, {100 * time.Millisecond, Unbounded, 5}}); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
