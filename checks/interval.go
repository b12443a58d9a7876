// Package checks decides how often proxies check the endpoints of backends.
package checks

import "time"

const (
	// shortest is the time between two checks of an endpoint by a proxy where there are few proxies.
	shortest = 250 * time.Millisecond
	// longest is the longest: with more than longest × most proxies an endpoint is checked more often than most.
	longest = 8 * time.Second
	// most is how often an endpoint is checked in a second, by all proxies together.
	most = 40
	// slack is how much of what a shorter time allows there may be for it to be taken again. Proxies come and go, and each change of the
	// time is a change of the proxies' clusters.
	slack = 0.6
)

// Interval is the time between two checks of one endpoint by one of so many proxies, when it was another one before; 0: there was
// none. It doubles as often as it has to for an endpoint to be checked no more than forty times a second.
func Interval(before time.Duration, proxies int) time.Duration {
	interval := max(before, shortest)
	for interval < longest && float64(proxies) > allowed(interval) {
		interval *= 2
	}
	for interval > shortest && float64(proxies) <= slack*allowed(interval/2) {
		interval /= 2
	}
	return interval
}

// allowed is how many proxies may check at an interval.
func allowed(interval time.Duration) float64 { return most * interval.Seconds() }
