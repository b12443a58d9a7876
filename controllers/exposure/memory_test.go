package exposure

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestReportsWait: what no decision hangs on is written a moment after the first of it, however much
// more comes meanwhile, and the next news waits anew.
func TestReportsWait(t *testing.T) {
	t.Parallel()
	n := delays{most: reportDelay}
	key := types.NamespacedName{Namespace: "shop", Name: "greeter"}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	steps := []struct {
		what string
		at   time.Duration
		is   bool
		rest time.Duration
	}{
		{"nothing to say", 0, false, 0},
		{"the first news", 10 * time.Millisecond, true, reportDelay},
		{"more of it", 50 * time.Millisecond, true, reportDelay - 40*time.Millisecond},
		{"the time has come", 110 * time.Millisecond, true, 0},
		{"the next news", 120 * time.Millisecond, true, reportDelay},
		{"it was overtaken by a decision", 130 * time.Millisecond, false, 0},
		{"news after that", 140 * time.Millisecond, true, reportDelay},
		{"the clock was set back", -time.Hour, true, reportDelay},
		{"and goes on", -time.Hour + reportDelay, true, 0},
	}
	for _, step := range steps {
		if rest := n.rest(key, step.is, start.Add(step.at)); rest != step.rest {
			t.Errorf("%s: waits %s, want %s", step.what, rest, step.rest)
		}
	}
}
