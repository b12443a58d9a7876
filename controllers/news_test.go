package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestNewsWaits: what no decision hangs on is written a moment after the first of it, however much
// more comes meanwhile, and the next news waits anew.
func TestNewsWaits(t *testing.T) {
	t.Parallel()
	var n news
	key := types.NamespacedName{Namespace: "shop", Name: "greeter"}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	steps := []struct {
		what string
		at   time.Duration
		is   bool
		rest time.Duration
	}{
		{"nothing to say", 0, false, 0},
		{"the first news", 10 * time.Millisecond, true, newsDelay},
		{"more of it", 50 * time.Millisecond, true, newsDelay - 40*time.Millisecond},
		{"the time has come", 110 * time.Millisecond, true, 0},
		{"the next news", 120 * time.Millisecond, true, newsDelay},
		{"it was overtaken by a decision", 130 * time.Millisecond, false, 0},
		{"news after that", 140 * time.Millisecond, true, newsDelay},
		{"the clock was set back", -time.Hour, true, newsDelay},
		{"and goes on", -time.Hour + newsDelay, true, 0},
	}
	for _, step := range steps {
		if rest := n.rest(key, step.is, start.Add(step.at)); rest != step.rest {
			t.Errorf("%s: waits %s, want %s", step.what, rest, step.rest)
		}
	}
}
