package server

import (
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/headgate/headgate/xds/cache"
)

// sotw is state-of-the-world xDS.
var sotw = dialect[*discovery.DiscoveryRequest, *discovery.DiscoveryResponse]{
	protocol: cache.StateOfTheWorld,
	subscribe: func(client *cache.Client, t cache.Type, r *discovery.DiscoveryRequest) {
		// The version that a client brings from an earlier stream is not looked at: it covers what the client
		// subscribed to then, which may have been something else.
		if client.Current(t, r.GetResponseNonce()) {
			client.Replace(t, r.GetResourceNames())
		}
	},
	subscription: func(_ *cache.Client, _ cache.Type, r *discovery.DiscoveryRequest) ([]string, int) {
		return r.GetResourceNames(), len(r.GetResourceNames())
	},
	absent: func(*discovery.DiscoveryRequest) (*discovery.DiscoveryResponse, bool) {
		return nil, false // what does not exist is not mentioned
	},
	encode: func(push *cache.Push) *discovery.DiscoveryResponse {
		resources := make([]*anypb.Any, 0, len(push.Entries))
		for _, e := range push.Entries {
			resources = append(resources, e.Resource().GetResource())
		}
		return &discovery.DiscoveryResponse{
			TypeUrl:     push.Type.URL(),
			VersionInfo: push.Version,
			Nonce:       push.Nonce,
			Resources:   resources,
		}
	},
}
