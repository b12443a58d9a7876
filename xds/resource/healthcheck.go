package resource

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	defaultUnhealthyThreshold = 2
	defaultHealthyThreshold   = 1
	// checkJitter spreads the first checks of endpoints that come together. A new endpoint waits for its
	// first check, and so at most this much longer.
	checkJitter = 50 * time.Millisecond
)

// check is the active health check of a service's clusters.
type check struct {
	// service is the name that is asked for.
	service string
	// everywhere: every backend is checked. If not, those whose pods declare a probe for this name are.
	everywhere bool
}

// checkFor says whether Envoys check the endpoints, and which service they ask for.
//
// A check that a backend cannot answer would call all of it dead. With mode Auto the name is that in the
// probes of the first backend that declares one, and the endpoints of backends that do not declare the
// same are not checked. A backend without pods says nothing, so that scaling it to zero and back changes
// no cluster while another one declares the same.
func checkFor(e Exposure) *check {
	var spec v1alpha1.HealthCheck
	if t := e.Service.Spec.Traffic; t != nil && t.HealthCheck != nil {
		spec = *t.HealthCheck
	}
	switch ptr.Deref(spec.Mode, v1alpha1.HealthCheckAuto) {
	case v1alpha1.HealthCheckAlways:
		return &check{service: ptr.Deref(spec.Service, ""), everywhere: true}
	case v1alpha1.HealthCheckNever:
		return nil
	}
	for _, b := range e.Service.Spec.Backends {
		if probe := e.Backends[b.Name].Probe; probe != nil {
			return &check{service: *probe}
		}
	}
	return nil
}

// covers says whether a backend with this probe can answer.
func (c *check) covers(probe *string) bool {
	return c != nil && (c.everywhere || probe != nil && *probe == c.service)
}

func (s *service) healthChecks() []*corev3.HealthCheck {
	if s.check == nil {
		return nil
	}
	var spec v1alpha1.HealthCheck
	if t := s.exs.Spec.Traffic; t != nil && t.HealthCheck != nil {
		spec = *t.HealthCheck
	}
	interval := durationpb.New(s.traffic.checkInterval)
	return []*corev3.HealthCheck{{
		Interval:              interval,
		Timeout:               durationpb.New(s.traffic.checkTimeout),
		InitialJitter:         durationpb.New(min(checkJitter, s.traffic.checkInterval)),
		UnhealthyEdgeInterval: durationpb.New(min(edgeInterval, s.traffic.checkInterval)),
		UnhealthyThreshold:    count(spec.UnhealthyThreshold, defaultUnhealthyThreshold),
		HealthyThreshold:      count(spec.HealthyThreshold, defaultHealthyThreshold),
		// Envoy would check once a minute what has had no call yet: a backup, until the day it is needed.
		NoTrafficInterval:        interval,
		NoTrafficHealthyInterval: interval,
		HealthChecker: &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{
			ServiceName: s.check.service,
			// Without it the authority would be the cluster's name, which is none because of its slash.
			Authority: ClientName(s.exs),
		}},
	}}
}

// count is an optional number of the API, all of which are bounded there to be non-negative.
func count(value *int32, otherwise uint32) *wrapperspb.UInt32Value {
	if value != nil {
		otherwise = uint32(max(*value, 0))
	}
	return wrapperspb.UInt32(otherwise)
}
