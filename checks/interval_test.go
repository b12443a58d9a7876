package checks

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		before, want time.Duration
		proxies      int
	}{
		{0, 250 * time.Millisecond, 0},
		{0, 250 * time.Millisecond, 2},
		{0, 250 * time.Millisecond, 10},
		{0, 500 * time.Millisecond, 11},
		{0, 2 * time.Second, 50},
		{0, 8 * time.Second, 1000},
		{500 * time.Millisecond, 500 * time.Millisecond, 10}, // not back at once
		{500 * time.Millisecond, 500 * time.Millisecond, 7},
		{500 * time.Millisecond, 250 * time.Millisecond, 6},
		{8 * time.Second, 250 * time.Millisecond, 1},
	} {
		if got := Interval(c.before, c.proxies); got != c.want {
			t.Errorf("%d proxies, %s before: %s, want %s", c.proxies, c.before, got, c.want)
		}
	}
}

// However proxies come and go, an endpoint is checked no more than forty times a second, as long as that can be, and few that come and
// go around any number change the interval no more than once.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := time.Duration(0)
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			proxies := rapid.IntRange(0, 400).Draw(t, "proxies")
			interval := Interval(before, proxies)
			if float64(proxies)/interval.Seconds() > most && interval < longest {
				t.Fatalf("%d proxies check every %s", proxies, interval)
			}
			changes := 0
			for _, n := range []int{proxies + 1, proxies, proxies + 1, proxies} {
				if next := Interval(interval, n); next != interval {
					interval, changes = next, changes+1
				}
			}
			if changes > 1 {
				t.Fatalf("%d changes around %d proxies", changes, proxies)
			}
			before = interval
		}
	})
}
