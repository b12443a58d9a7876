package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// failover is one measured failover, from the order to fail readiness to the first call elsewhere.
type failover struct {
	from, to string
	// ordered is when the order was sent. The next five are when this machine heard of the pod, of the
	// application's EndpointSlice, of the decision, and of the route.
	ordered, podUnready, sliceEmpty, decided time.Time
	// taken is the decision's own time, on the wall clock.
	taken time.Time
	// firstWrite is that of the first route after the decision, and written that of the one in which
	// the other application has most of the calls: the portable shape may take two.
	firstWrite, written time.Time
	// accepted is when Envoy Gateway had accepted that one.
	accepted time.Time
	// ended is when the next failover may begin to be prepared.
	ended time.Time

	// firstAnswer is the first of the other application, and lastAnswer the last of the old one.
	firstAnswer, lastAnswer time.Time
	// calls were due between this order and the next one, and failed of them failed.
	calls, failed int
}

func (f *failover) String() string {
	return fmt.Sprintf("%s -> %s: order +%s pod +%s EndpointSlice +%s decision +%s route +%s accepted", f.from, f.to,
		f.podUnready.Sub(f.ordered).Round(time.Millisecond), f.sliceEmpty.Sub(f.podUnready).Round(time.Millisecond),
		f.decided.Sub(f.sliceEmpty).Round(time.Millisecond), f.written.Sub(f.decided).Round(time.Millisecond),
		f.accepted.Sub(f.written).Round(time.Millisecond))
}

// movedByItself: Envoy sent a call to the other application before Headgate had written the route.
func (f *failover) movedByItself() bool { return f.firstAnswer.Before(f.written) }

var (
	// errDisturbed: something else happened at the same time, and the times say nothing.
	errDisturbed = errors.New("disturbed")
	errNotYet    = errors.New("not yet")
)

// answersBetween is how many answers are waited for before and after each failover.
const answersBetween = rate / 4

// failOver takes the serving application down, and brings it up again when the other one serves.
func (b *bench) failOver(ctx context.Context) (failover, error) {
	from, err := b.untilSettled(ctx)
	if err != nil {
		return failover{}, err
	}
	if err := scene.Answered(ctx, b.live, from, answersBetween); err != nil {
		return failover{}, err
	}
	if serves, _, err := b.view.settled(); err != nil || serves != from {
		return failover{}, errDisturbed
	}
	f := failover{from: from, to: other(from), ordered: time.Now()}
	err = b.Order(ctx, b.space, from, "not-ready")
	if err == nil {
		err = b.follow(ctx, &f)
	}
	f.ended = time.Now()
	return f, errors.Join(err, b.Order(ctx, b.space, from, "ready"))
}

// follow waits for the end of the chain, and writes down when each of its links was heard of.
func (b *bench) follow(ctx context.Context, f *failover) error {
	for _, link := range []struct {
		at   *time.Time
		fits func(moment) bool
	}{
		{&f.podUnready, of(podUnready, f.from)},
		{&f.sliceEmpty, of(sliceEmpty, f.from)},
		{&f.decided, of(decided, f.to)},
		{&f.written, of(written, f.to)},
	} {
		found, err := b.untilHeard(ctx, f.ordered, link.fits)
		if err != nil {
			return err
		}
		*link.at = found.at
		if found.what == decided {
			f.taken = found.taken
		}
	}
	route, _ := b.first(f.ordered, of(written, f.to))
	took, err := b.untilHeard(ctx, f.ordered, func(m moment) bool { return m.what == accepted && m.number >= route.number })
	if err != nil {
		return err
	}
	f.accepted = took.at
	first, _ := b.first(f.ordered, func(m moment) bool { return m.what == written })
	f.firstWrite = first.at
	if err := scene.Answered(ctx, b.live, f.to, answersBetween); err != nil {
		return err
	}
	return b.undisturbed(f)
}

// undisturbed fails if a decision or a route came before the pod was even unready, or a watch broke off.
func (b *bench) undisturbed(f *failover) error {
	if early, found := b.first(f.ordered, func(m moment) bool {
		return m.what == interrupted || m.at.Before(f.podUnready) && (m.what == decided || m.what == written)
	}); found {
		return fmt.Errorf("%w: %s", errDisturbed, early.what)
	}
	return nil
}

func (b *bench) untilHeard(ctx context.Context, after time.Time, fits func(moment) bool) (found moment, err error) {
	err = scene.Until(ctx, "the next link of the chain", func(context.Context) error {
		var ok bool
		if found, ok = b.first(after, fits); !ok {
			return fmt.Errorf("%w: since %s: %v", errNotYet, after.Format(time.StampMilli), b.since(after))
		}
		return nil
	})
	return found, err
}

// since lists what was heard of since a time, for people.
func (m *moments) since(after time.Time) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, have := range m.list {
		if have.at.After(after) {
			out = append(out, fmt.Sprintf("+%dms %s %s", have.at.Sub(after).Milliseconds(), have.what, have.app))
		}
	}
	return out
}

// untilSettled waits until everything is at rest, and returns who serves.
func (b *bench) untilSettled(ctx context.Context) (serves string, err error) {
	err = scene.Until(ctx, "everything to be at rest", func(context.Context) error {
		var err error
		serves, _, err = b.view.settled()
		return err
	})
	return serves, err
}

func keyOf(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }
