package resource

import (
	"net/netip"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	// maxStreams is how many calls there may be at a time on a connection. Envoy's advice is 100, where browsers are the clients; gRPC has
	// calls beyond it wait, and clients with more than a few hundred calls at a time are common.
	maxStreams = 1000
	// connectionBuffer is Envoy's advice. It bounds what waits in the proxy of a connection whose other side does not read.
	connectionBuffer = 32 << 10
	headersTimeout   = 10 * time.Second
)

// envoyListener is where the Envoys of a namespace take calls on a port.
func envoyListener(namespace string, port v1alpha1.PortNumber) *listenerv3.Listener {
	name := PortName(namespace, port)
	manager := connectionManager(name, name)
	manager.CodecType = managerv3.HttpConnectionManager_HTTP2
	// Bounds of what a connection can take of the proxy, as Envoy advises for an edge ("Configuring Envoy as an edge proxy").
	manager.Http2ProtocolOptions = &corev3.Http2ProtocolOptions{
		ConnectionKeepalive:         downstreamKeepalive(),
		MaxConcurrentStreams:        wrapperspb.UInt32(maxStreams),
		InitialStreamWindowSize:     wrapperspb.UInt32(64 << 10),
		InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
	}
	// Headers come at once; only what follows them may take its time.
	manager.RequestHeadersTimeout = durationpb.New(headersTimeout)
	// A stream may be silent, and last, for as long as it likes.
	manager.StreamIdleTimeout = durationpb.New(0)
	manager.RequestTimeout = durationpb.New(0)
	// Whoever calls is the client; what it says of whom it calls for is not believed.
	manager.UseRemoteAddress = wrapperspb.Bool(true)
	// What a rule does not take must not slip through it as /a/../b.
	manager.NormalizePath = wrapperspb.Bool(true)
	manager.MergeSlashes = true
	// No method of gRPC has a slash in its name. Names of headers with underscores are left alone: metadata of gRPC may have them.
	manager.PathWithEscapedSlashesAction = managerv3.HttpConnectionManager_REJECT_REQUEST
	return &listenerv3.Listener{
		Name:                          name,
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(connectionBuffer),
		// Not "::", which fails on a host without IPv6.
		Address: socketAddress(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port))), //nolint:gosec // a PortNumber is at most 65535
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(manager)},
		}}}},
	}
}

// clientListener is what a gRPC client asks for that dials xds:///name.
func clientListener(name, routes string) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:        name,
		ApiListener: &listenerv3.ApiListener{ApiListener: packed(connectionManager(name, routes))},
	}
}

// connectionManager has the routes from RDS, so that a step of a ramp changes no listener, and the
// router as its only and so last filter, without which gRPC refuses it.
func connectionManager(statPrefix, routes string) *managerv3.HttpConnectionManager {
	return &managerv3.HttpConnectionManager{
		StatPrefix: statPrefix,
		RouteSpecifier: &managerv3.HttpConnectionManager_Rds{
			Rds: &managerv3.Rds{ConfigSource: fromADS(), RouteConfigName: routes},
		},
		HttpFilters: []*managerv3.HttpFilter{{
			Name:       "envoy.filters.http.router",
			ConfigType: &managerv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})},
		}},
	}
}
