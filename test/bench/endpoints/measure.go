package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/bench/meter"
	"github.com/headgate/headgate/test/scene"
)

// row is what was measured of one way. Each list holds the times from before the write of an EndpointSlice until Envoy has it, in order.
type row struct {
	says string
	// single are changes one by one, burst those of all services at once, churn those that go on all the time.
	single, burst, churn []time.Duration
	// cpu is the processor time of each control plane for a change of the churn.
	cpu map[string]time.Duration
}

func measure(ctx context.Context, w way, services int, o options) (r row, err error) {
	cluster, err := scene.Connect()
	if err != nil {
		return r, err
	}
	s := &stage{Cluster: cluster, space: "bench-endpoints-" + w.name, services: services}
	if err := s.tearDown(); err != nil { // what an interrupted run has left
		return r, err
	}
	defer func() { err = errors.Join(err, s.tearDown()) }()
	if err := s.setUp(ctx); err != nil {
		return r, err
	}
	pod, admin, err := w.expose(ctx, s)
	if err != nil {
		return r, err
	}
	ask, stop, err := s.FromPod(pod, admin)
	if err != nil {
		return r, err
	}
	defer stop()
	e := &envoy{ask: ask, seen: map[int]change{}, looked: make(chan struct{})}
	following, end := context.WithCancel(ctx)
	var follows sync.WaitGroup
	follows.Go(func() { e.follow(following) })
	defer follows.Wait()
	defer end()
	if err := e.untilSettled(ctx, services); err != nil {
		return r, err
	}

	r = row{says: w.says}
	if r.single, err = s.single(ctx, e, o.singles); err != nil {
		return r, err
	}
	if r.burst, err = s.burst(ctx, e); err != nil {
		return r, err
	}
	if err := e.untilSettled(ctx, services); err != nil {
		return r, err
	}
	r.churn, r.cpu, err = s.churn(ctx, e, o)
	return r, err
}

// written is a change that Envoy is to have.
type written struct {
	service int
	before  int // what its counter was
	at      time.Time
}

// write changes a service.
func (s *stage) write(ctx context.Context, e *envoy, service int) (written, error) {
	slice := s.slice(nameOf(service))
	w := written{service: service, before: e.has(service).count, at: time.Now()}
	return w, s.Patch(ctx, slice, client.Merge)
}

// took waits until Envoy has a change.
func (w written) took(ctx context.Context, e *envoy) (time.Duration, error) {
	var at time.Time
	err := e.until(ctx, "a change of "+nameOf(w.service), func(seen map[int]change) bool {
		at = seen[w.service].at
		return seen[w.service].count > w.before
	})
	return at.Sub(w.at), err
}

// single changes one service after the other, and each when the one before has rested for a moment.
func (s *stage) single(ctx context.Context, e *envoy, changes int) (all []time.Duration, err error) {
	for range changes {
		w, err := s.write(ctx, e, rand.N(s.services)) //nolint:gosec // chance is all that is needed
		if err != nil {
			return nil, err
		}
		took, err := w.took(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
		if err := rest(ctx, 200*time.Millisecond+rand.N(200*time.Millisecond)); err != nil { //nolint:gosec // as above
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

// burst changes all services as fast as they can be written.
func (s *stage) burst(ctx context.Context, e *envoy) ([]time.Duration, error) {
	all := make([]written, s.services)
	for i := range all {
		var err error
		if all[i], err = s.write(ctx, e, i); err != nil {
			return nil, err
		}
	}
	return await(ctx, e, all)
}

// churn changes services for a while, in an order by chance in which none comes twice before all have come. A service changes again
// when Envoy has its last change: which of two it has could not be told.
func (s *stage) churn(ctx context.Context, e *envoy, o options) (all []time.Duration, cpu map[string]time.Duration, err error) {
	before, err := s.cpu(ctx)
	if err != nil {
		return nil, nil, err
	}
	tick := time.NewTicker(time.Second / time.Duration(o.perSecond))
	defer tick.Stop()
	pending := map[int]written{}
	var order []int
	for begun := time.Now(); time.Since(begun) < o.churn; <-tick.C {
		if len(order) == 0 {
			order = rand.Perm(s.services)
		}
		service := order[0]
		order = order[1:]
		if last, ok := pending[service]; ok {
			took, err := last.took(ctx, e)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, took)
		}
		if pending[service], err = s.write(ctx, e, service); err != nil {
			return nil, nil, err
		}
	}
	last, err := await(ctx, e, slices.Collect(maps.Values(pending)))
	if err != nil {
		return nil, nil, err
	}
	all = append(all, last...)
	slices.Sort(all)
	after, err := s.cpu(ctx)
	for plane := range after {
		after[plane] = (after[plane] - before[plane]) / time.Duration(len(all))
	}
	return all, after, err
}

// await waits until Envoy has all, and says how long each took, in order of that.
func await(ctx context.Context, e *envoy, all []written) ([]time.Duration, error) {
	took := make([]time.Duration, len(all))
	for i, w := range all {
		var err error
		if took[i], err = w.took(ctx, e); err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return took, nil
}

// cpu is what the control planes have used, by new samples of the kubelet.
func (s *stage) cpu(ctx context.Context) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for name, plane := range map[string]struct{ namespace, account string }{
		"Envoy Gateway": {"envoy-gateway-system", "envoy-gateway"},
		"Headgate":      {scene.HeadgateNamespace, "headgate"},
	} {
		m, err := meter.New(s.Cluster, plane.namespace, plane.account)
		if err != nil {
			return nil, err
		}
		usages, err := m.UsagesFrom(ctx, time.Now(), time.Minute)
		if err != nil {
			return nil, err
		}
		for _, pod := range slices.Sorted(maps.Keys(usages)) {
			if strings.HasPrefix(pod, plane.account+"-") { // in the same namespace are Envoy Gateway's Envoys
				out[name] += time.Duration(usages[pod].CPU * float64(time.Second))
			}
		}
	}
	return out, nil
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
}
