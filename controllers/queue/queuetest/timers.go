// Package queuetest is for tests that let the time of a queue pass.
package queuetest

import (
	"runtime"

	clocktesting "k8s.io/utils/clock/testing"
)

// Timers returns what waits until a queue has set a timer by its clock. It is called once the queue is made, and before it has anything to do: a
// queue always has a ticker. The queue sets its timers in a goroutine of its own, by the time that it has read before; a step of the clock between
// the two would be lost to it.
func Timers(clock *clocktesting.FakeClock) (untilSet func()) {
	idle := clock.Waiters()
	return func() {
		for clock.Waiters() <= idle {
			runtime.Gosched()
		}
	}
}
