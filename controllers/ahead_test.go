package controllers

import (
	"time"

	"k8s.io/utils/clock"
)

// ahead is a clock that is an hour ahead, so that every new Service has come of age (newServiceAge), and what is made
// does not depend on how fast a test is.
type ahead struct{ clock.RealClock }

// Now implements clock.PassiveClock.
func (ahead) Now() time.Time { return time.Now().Add(time.Hour) }

// Since implements clock.PassiveClock.
func (a ahead) Since(t time.Time) time.Duration { return a.Now().Sub(t) }

// withOldServices has an operator find every Service of age.
func withOldServices(config *Config, _ *transport) { config.Clock = ahead{} }
