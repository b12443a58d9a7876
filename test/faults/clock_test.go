package faults

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

const (
	// haste is how many times faster a hastyClock goes.
	haste = 10
	// startAhead lets every new Service have come of age, so that what is made does not depend on how fast a row is.
	startAhead = time.Hour
)

// hastyClock lets holds, ramps and looks take a tenth of their time, and jumps. What is asked of controller-runtime, such as to run
// again later, still takes its own: who lets time pass wakes the operator as well.
type hastyClock struct {
	clock.RealClock
	began time.Time
	// ahead is a time.Duration.
	ahead *atomic.Int64
}

func newHastyClock() hastyClock {
	c := hastyClock{began: time.Now(), ahead: &atomic.Int64{}}
	c.jump(startAhead)
	return c
}

// jump puts it forward, or back.
func (c hastyClock) jump(by time.Duration) { c.ahead.Add(int64(by)) }

func (c hastyClock) Now() time.Time {
	return c.began.Add(time.Since(c.began)*haste + time.Duration(c.ahead.Load()))
}

func (c hastyClock) Since(t time.Time) time.Duration        { return c.Now().Sub(t) }
func (c hastyClock) After(d time.Duration) <-chan time.Time { return c.RealClock.After(d / haste) }
func (c hastyClock) Sleep(d time.Duration)                  { c.RealClock.Sleep(d / haste) }
func (c hastyClock) NewTimer(d time.Duration) clock.Timer   { return c.RealClock.NewTimer(d / haste) }

func (c hastyClock) NewTicker(d time.Duration) clock.Ticker { return c.RealClock.NewTicker(d / haste) }
func (c hastyClock) Tick(d time.Duration) <-chan time.Time  { return c.RealClock.Tick(d / haste) }
