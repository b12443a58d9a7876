package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	defaultMaxConnections      = 1024
	defaultMaxPendingRequests  = 10_000
	defaultMaxParallelRequests = 10_000
	defaultRetryPercent        = 100
	defaultRetryConcurrency    = 1000
	defaultConsecutiveErrors   = 5
	defaultMaxEjectionPercent  = 100
)

// circuitBreakers bound what one Envoy has under way. gRPC clients know the bound of requests.
func (s *service) circuitBreakers() *clusterv3.CircuitBreakers {
	var spec v1alpha1.CircuitBreaker
	if t := s.exs.Spec.Traffic; t != nil && t.CircuitBreaker != nil {
		spec = *t.CircuitBreaker
	}
	budget := ptr.Deref(spec.RetryBudget, v1alpha1.RetryBudget{})
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		Priority:           corev3.RoutingPriority_DEFAULT,
		MaxConnections:     count(spec.MaxConnections, defaultMaxConnections),
		MaxPendingRequests: count(spec.MaxPendingRequests, defaultMaxPendingRequests),
		MaxRequests:        count(spec.MaxParallelRequests, defaultMaxParallelRequests),
		RetryBudget: &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent:       &typev3.Percent{Value: float64(ptr.Deref(budget.Percent, defaultRetryPercent))},
			MinRetryConcurrency: count(budget.MinConcurrency, defaultRetryConcurrency),
		},
	}}}
}

// outlierDetection ejects endpoints that fail call after call, where it is asked for. Nothing else of it is
// on: statistical ejection, which both Envoy and gRPC have on by default, is not what the API offers. gRPC
// clients do not count failures in a row and so eject nothing.
//
// All endpoints may be ejected: the bound is of the whole cluster, and with Envoy's 10 % a primary of which every
// endpoint fails would keep its calls.
func (s *service) outlierDetection() *clusterv3.OutlierDetection {
	if s.exs.Spec.Traffic == nil || s.exs.Spec.Traffic.OutlierDetection == nil {
		return nil
	}
	spec := s.exs.Spec.Traffic.OutlierDetection
	off := wrapperspb.UInt32(0)
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:                    count(spec.ConsecutiveErrors, defaultConsecutiveErrors),
		EnforcingConsecutive_5Xx:           wrapperspb.UInt32(100),
		EnforcingConsecutiveGatewayFailure: off,
		EnforcingSuccessRate:               off,
		EnforcingFailurePercentage:         off,
		Interval:                           durationpb.New(s.traffic.outlierInterval),
		BaseEjectionTime:                   durationpb.New(s.traffic.baseEjectionTime),
		// Envoy refuses an ejection that is longer than the longest, which is 300 s unless said.
		MaxEjectionTime:    durationpb.New(max(longestEjection, s.traffic.baseEjectionTime)),
		MaxEjectionPercent: count(spec.MaxEjectionPercent, defaultMaxEjectionPercent),
	}
}
