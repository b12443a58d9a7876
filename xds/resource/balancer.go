package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastrequestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringhashv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundrobinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headgate/headgate/api/v1alpha1"
)

// balancer chooses among the endpoints of a priority. It is a list of which a client takes the
// first that it knows (gRFC A52), where the old field lb_policy has gRPC clients refuse the cluster: every Envoy
// knows the first, every gRPC client the last.
func (s *service) balancer() *clusterv3.LoadBalancingPolicy {
	slowStart := s.slowStart()
	roundRobin := policy("round_robin", &roundrobinv3.RoundRobin{SlowStartConfig: slowStart})
	policies := []*clusterv3.LoadBalancingPolicy_Policy{roundRobin}
	switch s.balancerType() {
	case v1alpha1.RoundRobin:
	case v1alpha1.Random:
		policies = append([]*clusterv3.LoadBalancingPolicy_Policy{policy("random", &randomv3.Random{})}, policies...)
	case v1alpha1.ConsistentHash:
		ring := &ringhashv3.RingHash{HashFunction: ringhashv3.RingHash_XX_HASH}
		policies = append([]*clusterv3.LoadBalancingPolicy_Policy{policy("ring_hash", ring)}, policies...)
	default:
		least := &leastrequestv3.LeastRequest{SlowStartConfig: slowStart}
		policies = append([]*clusterv3.LoadBalancingPolicy_Policy{policy("least_request", least)}, policies...)
	}
	return &clusterv3.LoadBalancingPolicy{Policies: policies}
}

func policy(name string, config proto.Message) *clusterv3.LoadBalancingPolicy_Policy {
	return &clusterv3.LoadBalancingPolicy_Policy{TypedExtensionConfig: &corev3.TypedExtensionConfig{
		Name: "envoy.load_balancing_policies." + name, TypedConfig: packed(config),
	}}
}

func (s *service) balancerType() v1alpha1.LoadBalancerType {
	if t := s.exs.Spec.Traffic; t != nil && t.LoadBalancer != nil {
		return t.LoadBalancer.Type
	}
	return v1alpha1.LeastRequest
}

// slowStart is the time in which the share of a new endpoint grows; gRPC clients do not know it.
func (s *service) slowStart() *commonv3.SlowStartConfig {
	if s.traffic.slowStart == 0 {
		return nil
	}
	return &commonv3.SlowStartConfig{SlowStartWindow: durationpb.New(s.traffic.slowStart)}
}

// hashPolicies say what ConsistentHash is over: a header, or the client's address. A gRPC client has no
// address of a client, ignores that, and hashes each of its calls at random.
func (s *service) hashPolicies() []*routev3.RouteAction_HashPolicy {
	if s.balancerType() != v1alpha1.ConsistentHash {
		return nil
	}
	if header := s.exs.Spec.Traffic.LoadBalancer.HashHeader; header != nil {
		return []*routev3.RouteAction_HashPolicy{{PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
			Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: *header},
		}}}
	}
	return []*routev3.RouteAction_HashPolicy{{PolicySpecifier: &routev3.RouteAction_HashPolicy_ConnectionProperties_{
		ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
	}}}
}
