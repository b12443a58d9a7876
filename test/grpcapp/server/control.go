package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
)

// handler serves metrics and the control endpoint.
func (s *Server) handler(metrics *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.handler())
	mux.HandleFunc("GET /control", s.showState)
	for name, command := range map[string]command{
		"errors":    s.controlErrors,
		"latency":   s.controlLatency,
		"capacity":  s.controlCapacity,
		"freeze":    s.controlFreeze,
		"thaw":      always(s.Thaw),
		"crash":     s.controlCrash,
		"not-ready": always(func() { s.SetReady(false) }),
		"ready":     always(func() { s.SetReady(true) }),
		"reset":     always(s.Reset),
	} {
		mux.HandleFunc("POST /control/"+name, s.control(command))
	}
	return mux
}

// command reads its parameters and returns what to do; it changes nothing itself, so
// that a request with a mistake has no effect. Deferred work runs after the answer.
type command func(*parameters) (action, error)

type action struct {
	now        func() error
	afterwards func()
}

func always(do func()) command {
	return func(*parameters) (action, error) {
		return action{now: func() error { do(); return nil }}, nil
	}
}

func (s *Server) control(command command) http.HandlerFunc {
	return func(writer http.ResponseWriter, request *http.Request) {
		action, err := parse(request, command)
		if err == nil && action.now != nil {
			err = action.now()
		}
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		s.showState(writer, request)
		if action.afterwards == nil {
			return
		}
		// The answer must have left before the port goes silent.
		_ = http.NewResponseController(writer).Flush()
		action.afterwards()
	}
}

func parse(request *http.Request, command command) (action, error) {
	parameters, err := readParameters(request)
	if err != nil {
		return action{}, err
	}
	parsed, err := command(parameters)
	if err != nil {
		return action{}, err
	}
	return parsed, parameters.complete()
}

func (s *Server) showState(writer http.ResponseWriter, _ *http.Request) {
	body, err := json.MarshalIndent(s.State(), "", "  ")
	if err != nil {
		http.Error(writer, fmt.Sprintf("encode the state: %v", err), http.StatusInternalServerError)
		return
	}
	body = append(body, '\n')
	writer.Header().Set("Content-Type", "application/json")
	writer.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = writer.Write(body) // a client that left needs no answer
}

func (s *Server) controlErrors(p *parameters) (action, error) {
	fault := ErrorFault{
		Share:     p.number("share", required),
		Code:      p.code("code", codes.Unavailable),
		Message:   p.text("message", "injected by the control endpoint of "+s.cfg.Pod),
		Placement: Placement(p.text("placement", string(TrailersOnly))),
	}
	seed := p.seed()
	return action{now: func() error { return s.SetErrors(fault, seed) }}, nil
}

func (s *Server) controlLatency(p *parameters) (action, error) {
	var latency Distribution
	switch kind := p.text("distribution", ""); kind {
	case "none":
	case "constant":
		latency = Constant{Value: p.duration("value", required)}
	case "uniform":
		latency = Uniform{Min: p.duration("min", required), Max: p.duration("max", required)}
	case "normal":
		latency = Normal{Mean: p.duration("mean", required), StdDev: p.duration("stddev", required)}
	case "lognormal":
		latency = LogNormal{Mean: p.duration("mean", required), StdDev: p.duration("stddev", required)}
	default:
		return action{}, fmt.Errorf(
			"parameter distribution is %q: give constant, uniform, normal, lognormal or none", kind)
	}
	seed := p.seed()
	return action{now: func() error { return s.SetLatency(latency, seed) }}, nil
}

func (s *Server) controlCapacity(p *parameters) (action, error) {
	capacity := Capacity{Limit: p.whole("limit", 0), Queue: p.whole("queue", 0), Code: p.code("code", codes.Unavailable)}
	return action{now: func() error { return s.SetCapacity(capacity) }}, nil
}

func (s *Server) controlFreeze(p *parameters) (action, error) {
	scope := Scope(p.text("scope", string(ScopeGRPC)))
	duration := p.duration("duration", optional)
	if err := notNegative("duration", duration); err != nil {
		return action{}, err
	}
	switch scope {
	case ScopeGRPC:
		return action{now: func() error { s.Freeze(scope, duration); return nil }}, nil
	case ScopeAll:
		return action{afterwards: func() { s.Freeze(scope, duration) }}, nil
	default:
		return action{}, fmt.Errorf("parameter scope is %q: give %s or %s", scope, ScopeGRPC, ScopeAll)
	}
}

const (
	defaultCrashExit = 1
	maxExit          = 255
)

func (s *Server) controlCrash(p *parameters) (action, error) {
	exit := p.whole("exit", defaultCrashExit)
	if exit < 1 || exit > maxExit {
		return action{}, fmt.Errorf("parameter exit is %d: give an exit code from 1 to %d", exit, maxExit)
	}
	return action{now: func() error { s.cfg.Exit(exit); return nil }}, nil
}
