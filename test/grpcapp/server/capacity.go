package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Unbounded is a queue in which every call has a place.
const Unbounded = -1

// Capacity bounds how many calls to the Greeter are worked on at once. The others wait for their turn in the order in which they
// came, as far as the queue has places.
type Capacity struct {
	// Limit is how many calls are worked on at once; 0: as many as come.
	Limit int
	// Queue is how many more wait; Unbounded: all that come.
	Queue int
	// Code is what a call gets that finds no place.
	Code codes.Code
}

// validate says what is wrong with it in terms of the control endpoint's parameters.
func (c Capacity) validate() error {
	if c.Limit < 0 {
		return fmt.Errorf("parameter limit is %d: give how many calls are worked on at once, or 0 for no limit", c.Limit)
	}
	if c.Queue < Unbounded {
		return fmt.Errorf("parameter queue is %d: give how many calls may wait, or %d for any number", c.Queue, Unbounded)
	}
	if c.Limit > 0 && (c.Code == codes.OK || c.Code > codes.Unauthenticated) {
		return fmt.Errorf("parameter code is %s: give an error code, such as code=UNAVAILABLE", c.Code)
	}
	return nil
}

// errFull: neither a worker is free nor a place in the queue.
var errFull = errors.New("the queue is full")

// workers are the places of a Capacity. Calls that began under another one are none of its business.
type workers struct {
	Capacity

	mu      sync.Mutex
	busy    int
	waiting []chan struct{}
}

// take waits for a worker, and returns what lets it go.
func (w *workers) take(ctx context.Context) (letGo func(), err error) {
	if w.Limit == 0 {
		return func() {}, nil
	}
	w.mu.Lock()
	if w.busy < w.Limit {
		w.busy++
		w.mu.Unlock()
		return w.letGo, nil
	}
	if w.Queue != Unbounded && len(w.waiting) >= w.Queue {
		w.mu.Unlock()
		return nil, status.Error(w.Code, errFull.Error())
	}
	turn := make(chan struct{})
	w.waiting = append(w.waiting, turn)
	w.mu.Unlock()
	select {
	case <-turn:
		return w.letGo, nil
	case <-ctx.Done():
		w.leave(turn)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// letGo gives the worker to whoever has waited longest.
func (w *workers) letGo() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handOn()
}

func (w *workers) handOn() {
	if len(w.waiting) == 0 {
		w.busy--
		return
	}
	close(w.waiting[0])
	w.waiting = w.waiting[1:]
}

// leave takes a call out of the queue. If its turn has come in this moment, it is the next one's.
func (w *workers) leave(turn chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.waiting {
		if other == turn {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			return
		}
	}
	w.handOn()
}
