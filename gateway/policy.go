package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// The defaults that were measured to lose no call; docs/design.md has what each is worth.
const (
	defaultRequestTimeout      = gwapiv1.Duration("0s")
	defaultConnectTimeout      = gwapiv1.Duration("250ms")
	defaultBackOffBase         = gwapiv1.Duration("25ms")
	defaultBackOffMax          = gwapiv1.Duration("200ms")
	defaultAttempts            = int32(5)
	attemptsPerPriority        = int32(1)
	defaultMaxConnections      = int64(1024)
	defaultMaxPendingRequests  = int64(10000)
	defaultMaxParallelRequests = int64(10000)
	defaultRetryPercent        = int32(100)
	defaultRetryConcurrency    = uint32(1000)
	defaultCheckInterval       = gwapiv1.Duration("250ms")
	defaultCheckTimeout        = gwapiv1.Duration("350ms")
	defaultUnhealthyThreshold  = uint32(2)
	defaultHealthyThreshold    = uint32(1)
)

// panicNoneLeft is the panic threshold, in percent of healthy endpoints under which Envoy uses those
// that are not healthy as well. At 1 it does so when none is healthy, neither where calls go now nor
// where they could go next: endpoints that look dead are better than none, and an error for every call
// is what a health check that asks for the wrong service, or a starved machine, would cost otherwise.
const panicNoneLeft = uint32(1)

// policy is the BackendTrafficPolicy of the route. It is merged with one that the platform
// may have put on the Gateway, instead of replacing it.
func (e *expansion) policy() *egv1a1.BackendTrafficPolicy {
	traffic := ptr.Deref(e.exs.Spec.Traffic, v1alpha1.Traffic{})
	return &egv1a1.BackendTrafficPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: egv1a1.GroupVersion.String(), Kind: KindBackendTrafficPolicy},
		ObjectMeta: e.meta(e.exs.Name, ""),
		Spec: egv1a1.BackendTrafficPolicySpec{
			MergeType: ptr.To(egv1a1.StrategicMerge),
			PolicyTargetReferences: egv1a1.PolicyTargetReferences{
				TargetRefs: []gwapiv1.LocalPolicyTargetReferenceWithSectionName{{
					LocalPolicyTargetReference: gwapiv1.LocalPolicyTargetReference{
						Group: gwapiv1.GroupName, Kind: KindGRPCRoute, Name: gwapiv1.ObjectName(e.exs.Name),
					},
				}},
			},
			// A platform may route to the ClusterIPs of Services, for a mesh to balance. The proxies would then see
			// neither pods nor their health, and failover would be a refused connection for each call.
			RoutingType: ptr.To(egv1a1.EndpointRoutingType),
			ClusterSettings: egv1a1.ClusterSettings{
				Timeout: &egv1a1.Timeout{
					TCP:  &egv1a1.TCPTimeout{ConnectTimeout: duration(traffic.ConnectTimeout, defaultConnectTimeout)},
					HTTP: &egv1a1.HTTPTimeout{RequestTimeout: duration(traffic.RequestTimeout, defaultRequestTimeout)},
				},
				Retry:          e.retry(ptr.Deref(traffic.Retry, v1alpha1.Retry{})),
				CircuitBreaker: circuitBreaker(ptr.Deref(traffic.CircuitBreaker, v1alpha1.CircuitBreaker{})),
				LoadBalancer:   loadBalancer(traffic.LoadBalancer),
				HealthCheck:    e.healthCheck(traffic),
			},
		},
	}
}

func (e *expansion) retry(spec v1alpha1.Retry) *egv1a1.Retry {
	triggers := []egv1a1.TriggerEnum{egv1a1.ConnectFailure, egv1a1.RefusedStream, egv1a1.ResetBeforeRequest}
	perRetry := &egv1a1.PerRetryPolicy{
		BackOff: &egv1a1.BackOffPolicy{BaseInterval: ptr.To(defaultBackOffBase), MaxInterval: ptr.To(defaultBackOffMax)},
	}
	if e.mayRunTwice() {
		// UNAVAILABLE is not among them: that is what a server answers that has too much to do, and each such call would come again.
		triggers = []egv1a1.TriggerEnum{egv1a1.ConnectFailure, egv1a1.RefusedStream, egv1a1.Reset, egv1a1.Cancelled}
		perRetry.Timeout = e.perTryTimeout()
	}
	if len(spec.RetryOn) > 0 {
		triggers = nil
		for _, trigger := range spec.RetryOn {
			triggers = append(triggers, egv1a1.TriggerEnum(trigger))
		}
	}
	return &egv1a1.Retry{
		NumRetries: ptr.To(ptr.Deref(spec.Attempts, defaultAttempts)),
		// Each further attempt may go to the next priority: the one that failed may be dead as a whole.
		NumAttemptsPerPriority: ptr.To(attemptsPerPriority),
		RetryOn:                &egv1a1.RetryOn{Triggers: triggers},
		PerRetry:               perRetry,
	}
}

func circuitBreaker(spec v1alpha1.CircuitBreaker) *egv1a1.CircuitBreaker {
	budget := ptr.Deref(spec.RetryBudget, v1alpha1.RetryBudget{})
	out := &egv1a1.CircuitBreaker{
		MaxConnections:      ptr.To(number[int64](spec.MaxConnections, defaultMaxConnections)),
		MaxPendingRequests:  ptr.To(number[int64](spec.MaxPendingRequests, defaultMaxPendingRequests)),
		MaxParallelRequests: ptr.To(number[int64](spec.MaxParallelRequests, defaultMaxParallelRequests)),
		RetryBudget: &egv1a1.RetryBudget{
			Percent: gwapiv1.Fraction{
				Numerator: ptr.Deref(budget.Percent, defaultRetryPercent), Denominator: ptr.To(int32(100)),
			},
			MinRetryConcurrency: ptr.To(number[uint32](budget.MinConcurrency, defaultRetryConcurrency)),
		},
	}
	if spec.MaxRequestsPerConnection != nil {
		out.MaxRequestsPerConnection = ptr.To(int64(*spec.MaxRequestsPerConnection))
	}
	return out
}

func loadBalancer(spec *v1alpha1.LoadBalancer) *egv1a1.LoadBalancer {
	if spec == nil {
		return nil
	}
	out := &egv1a1.LoadBalancer{Type: egv1a1.LoadBalancerType(spec.Type)}
	if spec.SlowStart != nil {
		out.SlowStart = &egv1a1.SlowStart{Window: duration(spec.SlowStart, "")}
	}
	if spec.Type == v1alpha1.ConsistentHash {
		out.ConsistentHash = &egv1a1.ConsistentHash{Type: egv1a1.SourceIPConsistentHashType}
		if spec.HashHeader != nil {
			out.ConsistentHash = &egv1a1.ConsistentHash{
				Type: egv1a1.HeadersConsistentHashType, Headers: []*egv1a1.Header{{Name: *spec.HashHeader}},
			}
		}
	}
	return out
}

// healthCheck is the panic threshold, the active check if there is to be one, and outlier
// detection if it is asked for.
func (e *expansion) healthCheck(traffic v1alpha1.Traffic) *egv1a1.HealthCheck {
	out := &egv1a1.HealthCheck{PanicThreshold: ptr.To(panicNoneLeft), Active: e.activeHealthCheck()}
	if outlier := traffic.OutlierDetection; outlier != nil {
		out.Passive = &egv1a1.PassiveHealthCheck{
			Interval:             duration(outlier.Interval, "3s"),
			BaseEjectionTime:     duration(outlier.BaseEjectionTime, "30s"),
			Consecutive5xxErrors: ptr.To(number[uint32](outlier.ConsecutiveErrors, 5)),
			MaxEjectionPercent:   ptr.To(ptr.Deref(outlier.MaxEjectionPercent, 10)),
		}
	}
	return out
}

// activeHealthCheck is the proxies' own check of the endpoints; nil: there is none.
func (e *expansion) activeHealthCheck() *egv1a1.ActiveHealthCheck {
	spec := ptr.Deref(ptr.Deref(e.exs.Spec.Traffic, v1alpha1.Traffic{}).HealthCheck, v1alpha1.HealthCheck{})
	service, on := e.activeCheck(spec)
	if !on {
		return nil
	}
	return &egv1a1.ActiveHealthCheck{
		Type:               egv1a1.ActiveHealthCheckerTypeGRPC,
		Interval:           duration(spec.Interval, e.checkInterval()),
		Timeout:            duration(spec.Timeout, defaultCheckTimeout),
		UnhealthyThreshold: ptr.To(number[uint32](spec.UnhealthyThreshold, defaultUnhealthyThreshold)),
		HealthyThreshold:   ptr.To(number[uint32](spec.HealthyThreshold, defaultHealthyThreshold)),
		GRPC:               &egv1a1.GRPCActiveHealthChecker{Service: &service},
	}
}

// checkInterval is the time between two checks where the spec does not say it.
func (e *expansion) checkInterval() gwapiv1.Duration {
	if decided := e.exs.Status.CheckInterval; decided != nil {
		return gwapiv1.Duration(decided.Duration.String())
	}
	return defaultCheckInterval
}

// activeCheck says whether the proxies check the endpoints, and which service they ask for.
//
// With mode Auto they do when the pods of every backend of the cluster declare a gRPC readiness
// probe on the backend's port for one and the same service: a check that a backend cannot answer
// would call all of it dead. A backend without pods says nothing; it leaves the live policy as it
// is, so that scaling to zero and back changes no cluster.
func (e *expansion) activeCheck(spec v1alpha1.HealthCheck) (service string, on bool) {
	switch ptr.Deref(spec.Mode, v1alpha1.HealthCheckAuto) {
	case v1alpha1.HealthCheckAlways:
		return ptr.Deref(spec.Service, ""), true
	case v1alpha1.HealthCheckNever:
		return "", false
	}
	known, unknown := false, false
	for _, b := range e.backends {
		if b.idle() {
			continue
		}
		if b.FQDN != nil {
			if e.inCluster(b) {
				return "", false
			}
			continue
		}
		switch probe := b.facts.Probe; {
		case probe.State == ProbeNone, probe.State == ProbeGRPC && known && probe.Service != service:
			return "", false
		case probe.State == ProbeGRPC:
			service, known = probe.Service, true
		default:
			unknown = true
		}
	}
	if !unknown {
		return service, known
	}
	live := e.facts.LiveHealthCheck
	if live == nil || known && *live != service {
		return "", false
	}
	return *live, true
}

// inCluster says whether an fqdn backend's addresses are checked with those of the others.
func (e *expansion) inCluster(b backend) bool {
	return !e.shape.priorities || e.standsBy(b.Name)
}

func duration(value *v1alpha1.Duration, otherwise gwapiv1.Duration) *gwapiv1.Duration {
	if value != nil {
		otherwise = gwapiv1.Duration(*value)
	}
	return &otherwise
}

// number widens an optional number of the API, all of which are bounded there to be non-negative.
func number[T int64 | uint32](value *int32, otherwise T) T {
	if value != nil {
		return T(*value)
	}
	return otherwise
}
