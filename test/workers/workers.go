// Package workers calls the sample application as callers do that wait for an answer before they call again. (Package load
// calls at a rate, whatever becomes of the calls before.)
package workers

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// Config says how they call.
type Config struct {
	// Workers is how many call at once.
	Workers int
	// Pace is the time from one call of a worker to its next, unless the call takes longer.
	Pace time.Duration
	// Timeout is each call's.
	Timeout time.Duration
}

// Call is one call.
type Call struct {
	Began, Ended time.Time
	// Pod is who answered; empty: nobody.
	Pod string
	Err error
}

// Crew is workers at work.
type Crew struct {
	t    testing.TB
	stop func()

	mu    sync.Mutex
	calls []Call
	// more is closed when a call has ended.
	more chan struct{}
}

// Start has workers call until Stop, or until the test ends.
func Start(t testing.TB, conn grpc.ClientConnInterface, config Config) *Crew {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &Crew{t: t, more: make(chan struct{})}
	client := greeter.NewGreeterClient(conn)
	var working sync.WaitGroup
	for range config.Workers {
		working.Go(func() {
			pace := time.NewTicker(config.Pace)
			defer pace.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
					c.note(call(client, config.Timeout))
				}
			}
		})
	}
	// Calls in flight end by themselves: a call that was cut says nothing.
	c.stop = func() { cancel(); working.Wait() }
	t.Cleanup(c.stop)
	return c
}

func call(client greeter.GreeterClient, timeout time.Duration) Call {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var header, trailer metadata.MD
	began := time.Now()
	_, err := client.SayHello(ctx, &greeter.HelloRequest{Name: "world"}, grpc.Header(&header), grpc.Trailer(&trailer))
	out := Call{Began: began, Ended: time.Now(), Err: err}
	// A failure may be all that there is, and then says in the trailers who it is from.
	if pods := metadata.Join(header, trailer).Get("x-pod-name"); len(pods) > 0 {
		out.Pod = pods[0]
	}
	return out
}

func (c *Crew) note(call Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
	close(c.more)
	c.more = make(chan struct{})
}

// Stop ends the work, and returns all calls in the order in which they ended.
func (c *Crew) Stop() []Call {
	c.stop()
	return c.Calls()
}

// Calls are those that have ended.
func (c *Crew) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[:len(c.calls):len(c.calls)]
}

// patience is how long Await waits.
const patience = 30 * time.Second

// Await waits until so many calls that begin after now are as they should be, and returns all that began after now.
func (c *Crew) Await(what string, calls int, is func(Call) bool) []Call {
	c.t.Helper()
	now, deadline := time.Now(), time.NewTimer(patience)
	defer deadline.Stop()
	seen := len(c.Calls())
	var since []Call
	for found := 0; ; {
		c.mu.Lock()
		fresh, more := c.calls[seen:], c.more
		seen = len(c.calls)
		c.mu.Unlock()
		for _, call := range fresh {
			if call.Began.Before(now) {
				continue
			}
			since = append(since, call)
			if is(call) {
				found++
			}
		}
		if found >= calls {
			return since
		}
		select {
		case <-more:
		case <-deadline.C:
			c.t.Fatalf("%s: %d of %d calls in %s, of %d in all", what, found, calls, patience, len(since))
		}
	}
}

// Failed are the calls of some that failed.
func Failed(calls []Call) []Call {
	var out []Call
	for _, call := range calls {
		if call.Err != nil {
			out = append(out, call)
		}
	}
	return out
}
