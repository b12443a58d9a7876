package server

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Services of grpc.health.v1 beside "", which means the same as readiness.
const (
	ReadinessService = "readiness"
	LivenessService  = "liveness"
)

// healthState answers health checks. The server is ready unless it was told not to
// be, or drains.
type healthState struct {
	mu       sync.Mutex
	server   *health.Server
	notReady bool
	draining bool
}

func newHealthState() *healthState {
	h := &healthState{server: health.NewServer()}
	h.server.SetServingStatus(LivenessService, healthpb.HealthCheckResponse_SERVING)
	h.publish()
	return h
}

func (h *healthState) register(registrar grpc.ServiceRegistrar) {
	healthpb.RegisterHealthServer(registrar, h.server)
}

func (h *healthState) setReady(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notReady = !ready
	h.publish()
}

func (h *healthState) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	h.publish()
}

func (h *healthState) ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.notReady && !h.draining
}

// publish needs the lock.
func (h *healthState) publish() {
	status := healthpb.HealthCheckResponse_SERVING
	if h.notReady || h.draining {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	h.server.SetServingStatus("", status)
	h.server.SetServingStatus(ReadinessService, status)
}
