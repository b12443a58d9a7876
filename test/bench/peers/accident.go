package main

import (
	"context"

	"github.com/headgate/headgate/test/scene"
)

// accidents makes them happen.
type accidents struct {
	*bench
	contender  contender
	prometheus *scene.Prometheus
}

// before is what happens before the new version is shipped.
func (a accidents) before(ctx context.Context, what accident) error {
	switch what {
	case metricsNever:
		return a.prometheus.Scale(ctx, 0)
	case killed:
		// A container that has died before is not started again at once.
		return a.renew(ctx, a.contender.tool.seat())
	}
	return nil
}

// midway is what happens when the new version has got its first call.
func (a accidents) midway(ctx context.Context, what accident) error {
	switch what {
	case metricsLost:
		a.say("%s: Prometheus goes down", a.contender.title)
		return a.prometheus.Scale(ctx, 0)
	case killed:
		a.say("%s: the controller is killed", a.contender.title)
		return a.kill(ctx, a.contender.tool.seat())
	}
	return nil
}
