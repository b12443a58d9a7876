package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// panicNoneLeft is the panic threshold in percent. At 1 Envoy uses endpoints that fail their check when none passes it, at any
// priority: a health check that asks for the wrong service would cost every call otherwise. A priority with a healthy endpoint left is
// never in panic, so that no call goes to the dead of the one before it.
const panicNoneLeft = 1

// cluster says how calls are carried to the endpoints of an assignment of the same name. It depends on
// the spec and on which backends can be checked, and not on the decision.
func (s *service) cluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()},
		// gRPC clients report their calls to whom they have this from. Envoys do by their bootstrap.
		LrsServer:           fromSelf(),
		ConnectTimeout:      durationpb.New(s.traffic.connectTimeout),
		LoadBalancingPolicy: s.balancer(),
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			HealthyPanicThreshold: &typev3.Percent{Value: panicNoneLeft},
			// Changes of health count at once, and not within a second of the last one.
			UpdateMergeWindow: durationpb.New(0),
			// New endpoints count neither as healthy nor as dead until their first check, so that scaling out does
			// not look like a failure.
			IgnoreNewHostsUntilFirstHc: true,
		},
		HealthChecks:     s.healthChecks(),
		OutlierDetection: s.outlierDetection(),
		CircuitBreakers:  s.circuitBreakers(),
		// An endpoint that is gone from the assignment is gone, whatever its health check says.
		IgnoreHealthOnHostRemoval: true,
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{TcpKeepalive: tcpKeepalive()},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(s.upstreamHTTP()),
		},
	}
}

func (s *service) upstreamHTTP() *httpv3.HttpProtocolOptions {
	out := &httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{ConnectionKeepalive: upstreamKeepalive()},
				},
			},
		},
	}
	if t := s.exs.Spec.Traffic; t != nil && t.CircuitBreaker != nil && t.CircuitBreaker.MaxRequestsPerConnection != nil {
		out.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{MaxRequestsPerConnection: count(t.CircuitBreaker.MaxRequestsPerConnection, 0)}
	}
	return out
}
