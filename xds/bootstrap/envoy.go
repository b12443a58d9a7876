package bootstrap

import (
	"errors"
	"path"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The files of an Envoy, by name.
const (
	EnvoyFile       = "envoy.yaml"
	CertificateFile = "certificate.yaml"
	CAFile          = "ca.yaml"
)

// controlPlane is the name of the cluster of Headgate's servers. No cluster of package resource has a name without
// a slash.
const controlPlane = "headgate-xds"

// EnvoyFiles are the files that an Envoy starts with, by name: [EnvoyFile] is its configuration and reads the
// other two in [Config.Directory].
func EnvoyFiles(c Config) (map[string][]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if !path.IsAbs(c.Directory) {
		return nil, errors.New("the directory of Envoy's files must be an absolute path")
	}
	configuration, err := envoy(c)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if files[EnvoyFile], err = yamlOf(configuration); err != nil {
		return nil, err
	}
	if files[CertificateFile], err = secretFile(certificateSecret(c)); err != nil {
		return nil, err
	}
	if files[CAFile], err = secretFile(caSecret(c)); err != nil {
		return nil, err
	}
	return files, nil
}

func envoy(c Config) (*bootstrapv3.Bootstrap, error) {
	cluster, err := servers(c)
	if err != nil {
		return nil, err
	}
	out := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: c.Node, Cluster: c.Namespace + "/" + c.Name},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{cluster}},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			AdsConfig: fromServers(corev3.ApiConfigSource_DELTA_GRPC),
			CdsConfig: fromADS(),
			LdsConfig: fromADS(),
		},
		// What Envoy counts goes to the same servers.
		ClusterManager: &bootstrapv3.ClusterManager{LoadStatsConfig: fromServers(corev3.ApiConfigSource_GRPC)},
	}
	if c.AdminPort != 0 {
		out.Admin = &bootstrapv3.Admin{Address: socketAddress("127.0.0.1", uint32(c.AdminPort))} //nolint:gosec // Validate bounds it
	}
	return out, nil
}

func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func fromServers(api corev3.ApiConfigSource_ApiType) *corev3.ApiConfigSource {
	return &corev3.ApiConfigSource{
		ApiType: api, TransportApiVersion: corev3.ApiVersion_V3, SetNodeOnFirstMessageOnly: true,
		GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: controlPlane},
		}}},
	}
}

// servers is the cluster of Headgate's servers. Each is a priority, in their order, and one that refuses connections is
// left for the next: outlier detection sees that without a health check, which would be a connection without a
// certificate each time.
func servers(c Config) (*clusterv3.Cluster, error) {
	assignment := &endpointv3.ClusterLoadAssignment{ClusterName: controlPlane}
	var names []string
	for i, server := range c.Servers {
		host, port, err := split(server)
		if err != nil {
			return nil, err
		}
		names = append(names, host)
		assignment.Endpoints = append(assignment.Endpoints, &endpointv3.LocalityLbEndpoints{
			Priority: uint32(i), //nolint:gosec // as many as somebody wrote
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: socketAddress(host, port)},
			}}},
		})
	}
	transport, err := transportSocket(c, names)
	if err != nil {
		return nil, err
	}
	protocol, err := http2()
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                          controlPlane,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		ConnectTimeout:                durationpb.New(connectTimeout),
		LoadAssignment:                assignment,
		TransportSocket:               transport,
		TypedExtensionProtocolOptions: protocol,
		// A host that is ejected and alone is used all the same.
		OutlierDetection: &clusterv3.OutlierDetection{
			SplitExternalLocalOriginErrors: true,
			ConsecutiveLocalOriginFailure:  wrapperspb.UInt32(1),
			EnforcingConsecutive_5Xx:       wrapperspb.UInt32(0),
			Interval:                       durationpb.New(time.Second),
			BaseEjectionTime:               durationpb.New(ejectionTime),
			MaxEjectionPercent:             wrapperspb.UInt32(100),
		},
	}, nil
}

const (
	// connectTimeout also bounds the handshake of TLS.
	connectTimeout = 2 * time.Second
	// ejectionTime is how long a server that refuses connections is left alone, the first time.
	ejectionTime = 10 * time.Second
)

func socketAddress(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
