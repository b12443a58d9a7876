package remainder

import (
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsLeftOver(t *testing.T) {
	type look struct{ over, failed, want float64 }
	for name, looks := range map[string][]look{
		"nothing":                           {{0, 0, 0}, {0, 5, 0}},
		"counts when it stays":              {{3, 0, 0}, {0, 0, 3}, {0, 0, 0}},
		"what is new waits":                 {{3, 0, 0}, {2, 0, 3}, {0, 0, 2}, {0, 0, 0}},
		"a look that took one too many":     {{1, 0, 0}, {-1, 0, 0}, {1, 0, 0}, {-1, 0, 0}, {0, 0, 0}},
		"and one too few":                   {{-1, 0, 0}, {1, 0, 0}, {-1, 0, 0}, {1, 0, 0}, {0, 0, 0}},
		"what is short is taken from later": {{-2, 0, 0}, {0, 0, 0}, {0, 0, 0}, {5, 0, 0}, {0, 0, 3}},
		"unless that many failed":           {{-2, 2, 0}, {0, 0, 0}, {5, 0, 0}, {0, 0, 5}},
		"as far as they did":                {{-3, 1, 0}, {0, 1, 0}, {5, 0, 0}, {0, 0, 4}},
		"or failed long before":             {{0, 9, 0}, {0, 0, 0}, {-2, 0, 0}, {0, 0, 0}, {5, 0, 0}, {0, 0, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Remainder
			for i, look := range looks {
				if got := r.Settle(look.over, look.failed); got != look.want {
					t.Errorf("look %d: %v given up, want %v", i, got, look.want)
				}
			}
		})
	}
}

// Where no attempt fails: whatever looks take too many or too few of, they never run ahead of the truth while no two of them
// running take too many, and a look later nothing is missing.
func TestItNeverRunsAheadOfTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Remainder
		truth, told, seen := 0.0, 0.0, 0.0
		tooMany := false
		look := func(skew float64) {
			told += r.Settle(truth+skew-seen, 0)
			seen = truth + skew
			if told > truth {
				t.Fatalf("%v given up of %v", told, truth)
			}
		}
		for range rapid.IntRange(1, 50).Draw(t, "looks") {
			truth += float64(rapid.IntRange(0, 5).Draw(t, "given up"))
			skew := float64(rapid.IntRange(-3, 3).Draw(t, "skew"))
			if tooMany {
				skew = min(0, skew)
			}
			tooMany = skew > 0
			look(skew)
		}
		look(0)
		look(0)
		if told != truth {
			t.Fatalf("%v given up of %v, and nothing goes on", told, truth)
		}
	})
}
