package server

import (
	"encoding/json"
	"time"
)

// Scope says which ports a freeze silences.
type Scope string

// The scopes.
const (
	// ScopeGRPC silences the gRPC port; the HTTP port goes on answering.
	ScopeGRPC Scope = "grpc"
	// ScopeAll silences both ports, as a stopped process does.
	ScopeAll Scope = "all"
)

// State is what the control endpoint shows.
type State struct {
	Pod     string `json:"pod"`
	Version string `json:"version"`
	// Ready is what health checks of "" and "readiness" say.
	Ready bool `json:"ready"`
	// Frozen is the scope of the freeze; empty when not frozen.
	Frozen Scope `json:"frozen,omitempty"`
	// Errors is nil when no calls are failed.
	Errors *ErrorFault `json:"errors,omitempty"`
	// Latency is the distribution of the added latency; empty when none is added.
	Latency string `json:"latency,omitempty"`
	// Capacity is nil when there is no limit of calls.
	Capacity *Capacity `json:"capacity,omitempty"`
}

// MarshalJSON writes the capacity under the names of the control endpoint's parameters.
func (c Capacity) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Limit int    `json:"limit"`
		Queue int    `json:"queue"`
		Code  string `json:"code"`
	}{c.Limit, c.Queue, c.Code.String()})
}

// MarshalJSON writes the fault under the names of the control endpoint's parameters.
func (e ErrorFault) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Share     float64   `json:"share"`
		Code      string    `json:"code"`
		Message   string    `json:"message"`
		Placement Placement `json:"placement"`
	}{e.Share, e.Code.String(), e.Message, e.Placement})
}

// State returns the current state.
func (s *Server) State() State {
	state := State{Pod: s.cfg.Pod, Version: s.cfg.Version, Ready: s.health.ready()}
	switch {
	case s.httpGate.isShut():
		state.Frozen = ScopeAll
	case s.grpcGate.isShut():
		state.Frozen = ScopeGRPC
	}
	errors, latency := s.faults.current()
	if errors.Share > 0 {
		state.Errors = &errors
	}
	if latency != nil {
		state.Latency = latency.String()
	}
	if capacity := s.faults.limit().Capacity; capacity.Limit > 0 {
		state.Capacity = &capacity
	}
	return state
}

// SetErrors fails a share of the calls to the Greeter; a share of 0 fails none. A
// seed other than 0 restarts the draws. An error names the parameter that is wrong.
func (s *Server) SetErrors(fault ErrorFault, seed uint64) error {
	if fault.Placement == "" {
		fault.Placement = TrailersOnly
	}
	if err := fault.validate(); err != nil {
		return err
	}
	s.faults.setErrors(fault, seed)
	return nil
}

// SetLatency delays each call to the Greeter; nil delays none. A seed other than 0
// restarts the draws. An error names the parameter that is wrong.
func (s *Server) SetLatency(latency Distribution, seed uint64) error {
	if latency != nil {
		if err := latency.validate(); err != nil {
			return err
		}
	}
	s.faults.setLatency(latency, seed)
	return nil
}

// SetCapacity bounds how many calls to the Greeter are worked on at once. An error names the parameter that is wrong.
func (s *Server) SetCapacity(capacity Capacity) error {
	if err := capacity.validate(); err != nil {
		return err
	}
	s.faults.setCapacity(capacity)
	return nil
}

// Freeze silences the ports of the scope for the duration, or until Thaw when it is 0.
func (s *Server) Freeze(scope Scope, duration time.Duration) {
	s.grpcGate.shut(duration)
	if scope == ScopeAll {
		s.httpGate.shut(duration)
	}
}

// Thaw ends a freeze.
func (s *Server) Thaw() {
	s.grpcGate.unshut()
	s.httpGate.unshut()
}

// SetReady sets what health checks of "" and "readiness" say.
func (s *Server) SetReady(ready bool) { s.health.setReady(ready) }

// Reset makes the server normal: no errors, no latency, no limit, thawed, ready.
func (s *Server) Reset() {
	s.faults.setErrors(ErrorFault{}, 0)
	s.faults.setLatency(nil, 0)
	s.faults.setCapacity(Capacity{})
	s.Thaw()
	s.SetReady(true)
}
