package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	// quiet is how long calls go on before a trouble, and after its end at least.
	quiet = 5 * time.Second
)

// measureAll measures one scenario after the other, each on a stage of its own: Headgate remembers for long what was done to a backend.
func measureAll(ctx context.Context, plane plane, setting setting, scenarios []scenario, verbose bool) error {
	for i, scenario := range scenarios {
		out, err := measure(ctx, fmt.Sprintf("overload-%d", i), plane, setting, scenario, verbose)
		if err != nil {
			return fmt.Errorf("%s: %w", scenario.name, err)
		}
		fmt.Println(out.row(plane, setting, scenario))
	}
	return nil
}

func measure(ctx context.Context, space string, plane plane, setting setting, what scenario, verbose bool) (result, error) {
	s, config, err := setUp(ctx, space, plane, setting)
	if s != nil {
		defer s.cleanUp()
	}
	if err != nil {
		return result{}, err
	}
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
	// Calls that go on all the time; in the time of the trouble there are those beside them that are too many.
	base, err := load.Start(ctx, usual)
	if err != nil {
		return result{}, err
	}
	defer base.Stop()
	config.Rate, config.Duration = what.rate-usual.Rate, what.lasts
	out, err := s.trouble(ctx, what, base, config)
	if err != nil {
		return result{}, err
	}
	report := base.Stop()
	out.add(report)
	if err := s.Get(ctx, key(s.exs), s.exs); err != nil {
		return result{}, err
	}
	for _, d := range s.exs.Status.History {
		if d.Time.After(out.began) {
			out.decisions = append(out.decisions, string(d.Reason))
		}
	}
	if verbose {
		fmt.Fprintf(os.Stderr, "%s, %s, %s\n%s\n%s\n%s\n", plane.name, setting.name, what.name,
			report.Timeline(time.Second), report.Summary(), strings.Join(scene.History(s.exs), "\n"))
	}
	return out, nil
}

// trouble plays a scenario beside the calls that go on all the time, with further ones while it lasts.
func (s *stage) trouble(ctx context.Context, what scenario, base *load.Run, more load.Config) (out result, err error) {
	if err := sleep(ctx, quiet); err != nil {
		return result{}, err
	}
	before, err := s.attempts(ctx, what)
	if err != nil {
		return result{}, err
	}
	out.began = time.Now()
	base.Mark(what.name + " begins")
	if err := what.do(ctx, s, what.begin); err != nil {
		return result{}, err
	}
	if more.Rate > 0 {
		run, err := load.Start(ctx, more)
		if err != nil {
			return result{}, err
		}
		defer func() { out.add(run.Wait()) }()
	}
	if err := sleep(ctx, time.Until(out.began.Add(what.lasts))); err != nil {
		return result{}, err
	}
	out.ended = time.Now()
	base.Mark(what.name + " ends")
	if err := what.do(ctx, s, what.end); err != nil {
		return result{}, err
	}
	if err := sleep(ctx, 2*quiet); err != nil {
		return result{}, err
	}
	after, err := s.attempts(ctx, what)
	out.attempts = float64(after - before)
	return out, err
}

// do does what a scenario has for its beginning or end, if anything.
func (scenario) do(ctx context.Context, s *stage, what func(context.Context, *stage) error) error {
	if what == nil {
		return nil
	}
	return what(ctx, s)
}

// settle waits until the primary answers, and it is decided when silent attempts get a second one where that follows the latency.
func (s *stage) settle(ctx context.Context, config load.Config) error {
	config.Rate = calm
	calls, err := load.Start(ctx, config)
	if err != nil {
		return err
	}
	defer calls.Stop()
	if _, err := scene.Alone(ctx, calls, primary, int(2*calm)); err != nil {
		return err
	}
	// Where nothing follows it, there is nothing to wait for.
	return sleep(ctx, quiet)
}

// attempts is how often the pods have been called; 0 where their counts die with them.
func (s *stage) attempts(ctx context.Context, what scenario) (int, error) {
	total := 0
	if what.dies {
		return 0, nil
	}
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
