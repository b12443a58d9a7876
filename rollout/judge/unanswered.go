package judge

import (
	"math"
	"time"
)

// unanswered notices calls of the canary that get no answer, before their callers give up: nobody counts them until then, and callers without
// a deadline never do. They count as cancelled at once, and not again when they are.
//
// Two signs are read from the calls that are under way. None of the canary's calls comes to an end, while stable's do; or their number
// grows beyond what the calls that begin would make it, if they took twice as long as stable's (Little's law).
type unanswered struct {
	// elapsed is the time that is looked at, begun are the canary's calls in it, before is how many were under way when it began that
	// may still get an answer.
	elapsed       time.Duration
	begun, before uint64
	// ended are those that came to an end.
	ended uint64
	// stableBegun and stableEnded are stable's calls in that time.
	stableBegun, stableEnded uint64
	// counted are calls that count as cancelled before they are.
	counted uint64
}

const (
	// unansweredFor is how long is looked at least, and unansweredCalls are so many that none is answered by chance.
	unansweredFor   = 5 * time.Second
	unansweredCalls = 10
	// grownCalls is by how many the calls under way grow at least, beyond what is usual and three standard deviations of that.
	grownCalls = 3
	// unansweredShare is the share of the calls that begin which they are at least.
	unansweredShare = 0.02
	// longest is how long is looked at most.
	longest = time.Minute
)

// hear takes in a tick, and says how many cancelled calls of the canary it comes to.
func (u unanswered) hear(t Tick) (unanswered, uint64) {
	settled := min(t.Canary.Cancelled, u.counted)
	u.counted -= settled
	gone := t.Canary.Cancelled - settled
	if !t.Canary.TellsBegun || !t.Stable.TellsBegun {
		return unanswered{counted: u.counted}, gone
	}
	u.elapsed = later(u.elapsed, t.Elapsed)
	u.begun = addUp(u.begun, t.Canary.Begun)
	u.ended = addUp(u.ended, addUp(t.Canary.Calls, t.Canary.Cancelled))
	u.stableBegun = addUp(u.stableBegun, t.Stable.Begun)
	u.stableEnded = addUp(u.stableEnded, addUp(t.Stable.Calls, t.Stable.Cancelled))
	more := u.missing(t)
	switch {
	case more > 0:
		u.counted = addUp(u.counted, more)
		return unanswered{counted: u.counted, before: u.waiting(t)}, addUp(gone, more)
	case u.elapsed >= longest, t.Cold && u.ended > 0:
		return unanswered{counted: u.counted, before: u.waiting(t)}, gone
	}
	return u, gone
}

// waiting are the canary's calls that are under way and not counted.
func (u unanswered) waiting(t Tick) uint64 {
	return t.Canary.InFlight - min(u.counted, t.Canary.InFlight)
}

// missing is how many calls of the canary are without an answer for longer than they should be; 0: fewer than say something.
func (u unanswered) missing(t Tick) uint64 {
	if u.elapsed < unansweredFor || u.begun < unansweredCalls || u.stableEnded == 0 || 2*u.stableEnded < u.stableBegun {
		return 0
	}
	// A call of stable's takes so much of the time that is looked at.
	took := float64(t.Stable.InFlight) / float64(max(1, u.stableBegun))
	usual := 2 * took * float64(u.begun)
	if u.ended == 0 {
		if 5*took > 1 {
			return 0
		}
		return u.begun
	}
	usual = max(float64(u.before), usual)
	grown := float64(u.waiting(t)) - usual
	if grown < grownCalls+3*math.Sqrt(usual) && grown < grownCalls+usual || grown < unansweredShare*float64(u.begun) {
		return 0
	}
	return uint64(grown)
}
