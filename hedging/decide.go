package hedging

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	// Never: no second attempt is made.
	Never time.Duration = 0
	// share is how many times longer than the average call the delay is at least. Of times that are distributed exponentially, and of
	// lognormal ones that vary as much, five percent are longer than that: so much is added to the calls of the backends.
	share = 3
	// tooLong is that number at which the delay is too short: a little smaller, because an endpoint that freezes looks like a slow one
	// for as long as it is not left yet. Then a longer delay would keep the calls on it waiting. It holds all that come for a second at most,
	// in which calls take three tenths of one more on average of three.
	tooLong = 2.8
	// beginning is how long calls are looked at before the first delay is chosen, or a longer one.
	beginning = 3 * time.Second
)

// delays are those that are chosen, from the shortest. The first is as long as a call may be delayed by a freeze, less what the second
// attempt takes. There are few, so that what follows them, such as routes, seldom changes.
var delays = []time.Duration{900 * time.Millisecond, 2 * time.Second, 5 * time.Second}

// Decide says what the delay is from now on. It is longer within three seconds when calls take longer, and shorter after half a minute in which
// they did not. Where nothing is known it stays what it is.
func Decide(before *v1alpha1.HedgingStatus, of *Estimate, now time.Time) *v1alpha1.HedgingStatus {
	if of == nil {
		return before
	}
	recent, known := of.over(beginning, now)
	usual, usualKnown := of.over(memory, now)
	switch {
	case before == nil && known:
		return status(delayFor(recent), recent, now)
	case before == nil && usualKnown:
		return status(delayFor(usual), usual, now)
	case before == nil:
		return nil
	}
	delay := Delay(before)
	if known && delay != Never && tooLong*recent.Seconds() > delay.Seconds() {
		return status(delayFor(recent), recent, now)
	}
	if usualKnown && now.Sub(before.Time.Time) >= memory && longer(delay, delayFor(usual)) {
		return status(delayFor(usual), usual, now)
	}
	return before
}

// delayFor is the delay for calls that take so long on average.
func delayFor(latency time.Duration) time.Duration {
	for _, delay := range delays {
		if share*latency <= delay {
			return delay
		}
	}
	return Never
}

// longer says whether a delay is longer than another one. Never is the longest.
func longer(a, b time.Duration) bool { return b != Never && (a == Never || a > b) }

// Delay is what was decided.
func Delay(status *v1alpha1.HedgingStatus) time.Duration {
	if status == nil || status.Delay == nil {
		return Never
	}
	return status.Delay.Duration
}

func status(delay, latency time.Duration, now time.Time) *v1alpha1.HedgingStatus {
	out := &v1alpha1.HedgingStatus{Time: metav1.NewMicroTime(now.Truncate(time.Microsecond)), Latency: metav1.Duration{Duration: latency.Round(time.Millisecond)}}
	if delay != Never {
		out.Delay = &metav1.Duration{Duration: delay}
	}
	return out
}
