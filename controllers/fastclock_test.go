package controllers

import (
	"time"

	"k8s.io/utils/clock"
)

// haste is how many times faster a fastClock goes.
const haste = 10

// fastClock lets the holds, the drains and the looks of a rollout take a tenth of their time. What is asked of
// controller-runtime, such as to run again, still takes its own; counted calls wake the reconciler meanwhile.
type fastClock struct {
	clock.RealClock
	began time.Time
}

func newFastClock() fastClock { return fastClock{began: time.Now()} }

func (c fastClock) Now() time.Time                         { return c.began.Add(time.Since(c.began) * haste) }
func (c fastClock) Since(t time.Time) time.Duration        { return c.Now().Sub(t) }
func (c fastClock) After(d time.Duration) <-chan time.Time { return c.RealClock.After(d / haste) }
func (c fastClock) Sleep(d time.Duration)                  { c.RealClock.Sleep(d / haste) }
func (c fastClock) NewTimer(d time.Duration) clock.Timer   { return c.RealClock.NewTimer(d / haste) }

func (c fastClock) NewTicker(d time.Duration) clock.Ticker { return c.RealClock.NewTicker(d / haste) }
func (c fastClock) Tick(d time.Duration) <-chan time.Time  { return c.RealClock.Tick(d / haste) }

// inHaste runs an operator by a clock that all operators of a test share.
func inHaste(c fastClock) operatorOption {
	return func(config *Config, _ *transport) { config.Clock = c }
}
