package rig

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Progress knows, of each ExposedService by its number, since when it is in a state that is waited for.
type Progress[State comparable] struct {
	mu     sync.Mutex
	states map[int]stateSince[State]
	// more is closed at each change.
	more chan struct{}
}

type stateSince[State comparable] struct {
	state State
	since time.Time
}

func newProgress[State comparable]() *Progress[State] {
	return &Progress[State]{states: map[int]stateSince[State]{}, more: make(chan struct{})}
}

func (p *Progress[State]) set(number int, state State) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, known := p.states[number]; known && before.state == state {
		return
	}
	p.states[number] = stateSince[State]{state: state, since: now}
	close(p.more)
	p.more = make(chan struct{})
}

// Until waits until all of some are in a state, and returns since when each is.
func (p *Progress[State]) Until(ctx context.Context, numbers []int, state State) ([]time.Time, error) {
	since := make([]time.Time, len(numbers))
	for {
		missing := 0
		p.mu.Lock()
		more := p.more
		for i, number := range numbers {
			if is := p.states[number]; is.state == state {
				since[i] = is.since
			} else {
				missing++
			}
		}
		p.mu.Unlock()
		if missing == 0 {
			return since, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d are not %v: %w", missing, len(numbers), state, context.Cause(ctx))
		case <-more:
		}
	}
}

// Routes is which backend serves, by the routes that a client sees.
type Routes struct{ *Progress[string] }

// NewRoutes knows nothing until Observe.
func NewRoutes() Routes { return Routes{newProgress[string]()} }

// Observe takes in a route as a watch tells of it.
func (r Routes) Observe(route *gwapiv1.GRPCRoute) {
	number, ok := numberOf(route.Name)
	if !ok {
		return
	}
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			// The sum is a million, but for the 1 of the fallback.
			if ref.Weight == nil || *ref.Weight <= 500_000 {
				continue
			}
			for _, backend := range []string{Primary, Backup} {
				if string(ref.Name) == ownService(route.Name, backend) {
					r.set(number, backend)
				}
			}
		}
	}
}

// Readiness says whether ExposedServices are Ready, with Envoys that fail over by themselves.
type Readiness struct{ *Progress[bool] }

// FollowReadiness watches all ExposedServices until the context ends.
func (s *APIServer) FollowReadiness(ctx context.Context) (Readiness, error) {
	kube, err := s.Client()
	if err != nil {
		return Readiness{}, err
	}
	r := Readiness{newProgress[bool]()}
	go follow(ctx, kube, &v1alpha1.ExposedServiceList{}, func(exs *v1alpha1.ExposedService) {
		if number, ok := numberOf(exs.Name); ok {
			r.set(number, isTrue(exs, v1alpha1.ConditionReady) && isTrue(exs, v1alpha1.ConditionPriorityFailover))
		}
	})
	return r, nil
}

func isTrue(exs *v1alpha1.ExposedService, name string) bool {
	condition := meta.FindStatusCondition(exs.Status.Conditions, name)
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == exs.Generation
}
