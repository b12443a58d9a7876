package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	// quiet is how long calls go on before a trouble, and after its end at least.
	quiet = 5 * time.Second
	// settleTime is how long a failover may take to be undone after a scenario.
	settleTime = time.Minute
	// usualDelay is that of second attempts where calls take a few milliseconds.
	usualDelay = 900 * time.Millisecond
)

// measureAll measures one scenario after the other on one stage.
func measureAll(ctx context.Context, plane plane, setting setting, scenarios []scenario, verbose bool) error {
	s, config, err := setUp(ctx, plane, setting)
	if s != nil {
		defer s.cleanUp()
	}
	if err != nil {
		return err
	}
	for _, scenario := range scenarios {
		out, err := s.measure(ctx, scenario, config, verbose)
		if err != nil {
			return fmt.Errorf("%s: %w", scenario.name, err)
		}
		fmt.Println(out.row(plane, setting, scenario))
	}
	return nil
}

// measure makes calls before, in and after a scenario.
func (s *stage) measure(ctx context.Context, what scenario, config load.Config, verbose bool) (result, error) {
	if err := s.settle(ctx, config); err != nil {
		return result{}, err
	}
	if what.before != nil {
		if err := what.before(ctx, s); err != nil {
			return result{}, err
		}
	}
	usual := config
	usual.Rate = what.rate
	if what.calmBefore > 0 {
		usual.Rate = what.calmBefore
	}
	// Calls that go on all the time, and in the time of the trouble those that are too many.
	base, err := load.Start(ctx, usual)
	if err != nil {
		return result{}, err
	}
	defer base.Stop()
	if err := sleep(ctx, quiet); err != nil {
		return result{}, err
	}
	var before, after int
	if !what.dies {
		if before, err = s.attempts(ctx); err != nil {
			return result{}, err
		}
	}
	out := result{began: time.Now()}
	base.Mark(what.name + " begins")
	if what.begin != nil {
		if err := what.begin(ctx, s); err != nil {
			return result{}, err
		}
	}
	var more *load.Run
	if what.rate > usual.Rate {
		config.Rate, config.Duration = what.rate-usual.Rate, what.lasts
		if more, err = load.Start(ctx, config); err != nil {
			return result{}, err
		}
	}
	if err := sleep(ctx, time.Until(out.began.Add(what.lasts))); err != nil {
		return result{}, err
	}
	out.ended = time.Now()
	base.Mark(what.name + " ends")
	if what.end != nil {
		if err := what.end(ctx, s); err != nil {
			return result{}, err
		}
	}
	if more != nil {
		out.add(more.Wait())
	}
	if err := sleep(ctx, 2*quiet); err != nil {
		return result{}, err
	}
	report := base.Stop()
	out.add(report)
	if !what.dies {
		if after, err = s.attempts(ctx); err != nil {
			return result{}, err
		}
		out.attempts = float64(after - before)
	}
	if err := s.Get(ctx, key(s.exs), s.exs); err != nil {
		return result{}, err
	}
	for _, d := range s.exs.Status.History {
		if d.Time.After(out.began) {
			out.decisions = append(out.decisions, string(d.Reason))
		}
	}
	if verbose {
		fmt.Fprintf(os.Stderr, "%s\n%s\n%s\n", report.Timeline(time.Second), report.Summary(), strings.Join(scene.History(s.exs), "\n"))
	}
	return out, nil
}

// settle brings everything back to where the primary serves and all is well.
func (s *stage) settle(ctx context.Context, config load.Config) error {
	for _, app := range apps {
		if err := s.UntilReady(ctx, s.space, app.Name); err != nil {
			return err
		}
		if err := s.Order(ctx, s.space, app.Name, "reset"); err != nil {
			return err
		}
	}
	// Without calls nobody knows that they would be answered again.
	config.Rate = calm
	calls, err := load.Start(ctx, config)
	if err != nil {
		return err
	}
	defer calls.Stop()
	if err := s.handBack(ctx); err != nil {
		return err
	}
	if err := scene.UntilWithin(ctx, settleTime, time.Second, "the primary to serve", func(ctx context.Context) error {
		if err := s.Get(ctx, key(s.exs), s.exs); err != nil {
			return err
		}
		if s.exs.Status.Active != primary {
			return fmt.Errorf("%s serves", s.exs.Status.Active)
		}
		if before := s.exs.Status.Hedging; before != nil && hedging.Delay(before) != usualDelay {
			return fmt.Errorf("the delay of second attempts is %s", hedging.Delay(before))
		}
		return nil
	}); err != nil {
		return err
	}
	_, err = scene.Alone(ctx, calls, primary, int(2*calm))
	return err
}

// handBack has the primary serve, however careful Headgate has become by what was done to it before.
func (s *stage) handBack(ctx context.Context) error {
	for _, pin := range []string{primary, ""} {
		if err := s.Change(ctx, s.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Failover.Pin = pin }); err != nil {
			return err
		}
		if err := s.UntilActive(ctx, s.exs, primary); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often the pods have been called.
func (s *stage) attempts(ctx context.Context) (int, error) {
	total := 0
	for _, app := range apps {
		n, err := s.Attempts(ctx, s.space, app.Name)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
