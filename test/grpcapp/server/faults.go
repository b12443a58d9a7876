package server

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Placement is where in the response an injected error stands.
type Placement string

// The placements.
const (
	// TrailersOnly is a response of a single HEADERS frame.
	TrailersOnly Placement = "trailers-only"
	// AfterHeaders sends response headers before the trailers with the error.
	AfterHeaders Placement = "after-headers"
)

// ErrorFault fails a share of the calls.
type ErrorFault struct {
	// Share of the calls, 0..1.
	Share float64
	// Code that they get; not OK.
	Code codes.Code
	// Message that they get.
	Message string
	// Placement of the error; TrailersOnly when empty.
	Placement Placement
}

// validate says what is wrong with the fault in terms of the control endpoint's parameters.
func (e ErrorFault) validate() error {
	if !(e.Share >= 0 && e.Share <= 1) { // also refuses NaN
		return fmt.Errorf("parameter share is %v: give a number from 0 to 1, such as share=0.3", e.Share)
	}
	if e.Code == codes.OK || e.Code > codes.Unauthenticated {
		return fmt.Errorf("parameter code is %s: give an error code, such as code=UNAVAILABLE", e.Code)
	}
	if e.Placement != TrailersOnly && e.Placement != AfterHeaders {
		return fmt.Errorf("parameter placement is %q: give %s or %s", e.Placement, TrailersOnly, AfterHeaders)
	}
	return nil
}

// faults decides about each call. Errors and latencies draw from sources of their
// own, so that setting one does not shift the other's sequence.
type faults struct {
	mu            sync.Mutex
	errors        ErrorFault
	latency       Distribution // nil adds none
	errorSource   *rand.Rand
	latencySource *rand.Rand
	workers       *workers
}

const (
	errorStream   = 1
	latencyStream = 2
)

func newFaults(seed uint64) *faults {
	return &faults{
		errorSource:   rand.New(rand.NewPCG(seed, errorStream)),
		latencySource: rand.New(rand.NewPCG(seed, latencyStream)),
		workers:       &workers{},
	}
}

// verdict is what happens to one call.
type verdict struct {
	delay     time.Duration
	err       error
	placement Placement
}

func (f *faults) draw() verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	var v verdict
	if f.latency != nil {
		v.delay = f.latency.Sample(f.latencySource)
	}
	if f.errors.Share > 0 && f.errorSource.Float64() < f.errors.Share {
		v.err = status.Error(f.errors.Code, f.errors.Message)
		v.placement = f.errors.Placement
	}
	return v
}

// setErrors replaces the error fault; a seed other than 0 restarts its draws.
func (f *faults) setErrors(fault ErrorFault, seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = fault
	if seed != 0 {
		f.errorSource = rand.New(rand.NewPCG(seed, errorStream))
	}
}

// setLatency replaces the added latency, nil for none; a seed other than 0 restarts
// its draws.
func (f *faults) setLatency(latency Distribution, seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = latency
	if seed != 0 {
		f.latencySource = rand.New(rand.NewPCG(seed, latencyStream))
	}
}

// setCapacity replaces the limit of calls.
func (f *faults) setCapacity(capacity Capacity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers = &workers{Capacity: capacity}
}

// limit are the workers that a call takes one of now.
func (f *faults) limit() *workers {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.workers
}

func (f *faults) current() (ErrorFault, Distribution) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errors, f.latency
}
