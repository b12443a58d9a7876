package resource

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// upstreamKeepalive finds peers that are gone although their host still answers TCP. gRPC servers take
// a client that pings more often than every five minutes for an attacker and close its connection
// (gRFC A8, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS), hence the long interval.
func upstreamKeepalive() *corev3.KeepaliveSettings {
	return &corev3.KeepaliveSettings{
		Interval: durationpb.New(5*time.Minute + 30*time.Second),
		Timeout:  durationpb.New(10 * time.Second),
	}
}

// tcpKeepalive finds hosts that are gone, in 10 + 3 × 5 s, without a word to the server.
func tcpKeepalive() *corev3.TcpKeepalive {
	return &corev3.TcpKeepalive{
		KeepaliveTime:     wrapperspb.UInt32(10),
		KeepaliveInterval: wrapperspb.UInt32(5),
		KeepaliveProbes:   wrapperspb.UInt32(3),
	}
}

// downstreamKeepalive finds clients that are gone, which nothing else does where streams may be
// silent for as long as they like.
func downstreamKeepalive() *corev3.KeepaliveSettings {
	return &corev3.KeepaliveSettings{
		Interval: durationpb.New(30 * time.Second),
		Timeout:  durationpb.New(10 * time.Second),
	}
}
