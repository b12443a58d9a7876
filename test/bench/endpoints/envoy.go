package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// envoy follows how often the endpoints of each service have changed in an Envoy, by its own counters.
type envoy struct {
	ask func(ctx context.Context, path string) ([]byte, error)

	mu      sync.Mutex
	seen    map[int]change
	looks   int
	failure error
	// looked is closed, and made anew, at each look.
	looked chan struct{}
}

// change is the last that Envoy had of a service.
type change struct {
	count int
	at    time.Time
}

const (
	// counters are those of changes alone: Envoy takes its time to go through all.
	counters = `/stats?usedonly&filter=membership_change$`
	// between is the time from one look to the next.
	between = 3 * time.Millisecond
)

var counter = regexp.MustCompile(`(?m)^cluster\..*app-(\d{3})\b.*\.membership_change: (\d+)$`)

// follow looks until the context ends.
func (e *envoy) follow(ctx context.Context) {
	tick := time.NewTicker(between)
	defer tick.Stop()
	for ctx.Err() == nil {
		body, err := e.ask(ctx, counters)
		e.look(body, err, time.Now())
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (e *envoy) look(body []byte, err error, now time.Time) {
	sums := map[int]int{}
	for _, found := range counter.FindAllSubmatch(body, -1) {
		service, _ := strconv.Atoi(string(found[1])) // digits
		count, _ := strconv.Atoi(string(found[2]))
		sums[service] += count
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure = err
	for service, count := range sums {
		if e.seen[service].count != count {
			e.seen[service] = change{count, now}
		}
	}
	e.looks++
	close(e.looked)
	e.looked = make(chan struct{})
}

// has is the last change that was seen of a service.
func (e *envoy) has(service int) change {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[service]
}

var errLate = errors.New("Envoy does not have it")

// patience bounds each wait for Envoy.
const patience = 5 * time.Minute

// until waits for a look after which it holds.
func (e *envoy) until(ctx context.Context, what string, holds func(seen map[int]change) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		e.mu.Lock()
		ok, looked, failure := holds(e.seen), e.looked, e.failure
		e.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-looked:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, errLate, errors.Join(failure, ctx.Err()))
		}
	}
}

// quiet is for how long nothing may have changed before all is called settled.
const quiet = 5 * time.Second

// untilSettled waits until Envoy has all services, and none of them changes any more.
func (e *envoy) untilSettled(ctx context.Context, services int) error {
	return e.until(ctx, fmt.Sprintf("%d services at rest", services), func(seen map[int]change) bool {
		for _, c := range seen {
			if time.Since(c.at) < quiet {
				return false
			}
		}
		return len(seen) == services
	})
}
