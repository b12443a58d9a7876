package server

import (
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/headgate/headgate/xds/cache"
)

// sotw is state-of-the-world xDS.
var sotw = variant[*discovery.DiscoveryRequest, *discovery.DiscoveryResponse]{
	protocol: cache.StateOfTheWorld,
	subscribe: func(client *cache.Client, t cache.Type, r *discovery.DiscoveryRequest) (bool, error) {
		// The version that a client brings from an earlier stream is not looked at: it covers what the client
		// subscribed to then, which may have been something else.
		//
		// The names count even if the nonce is that of an earlier response. "The server should not send a response for a stale nonce"
		// (xDS protocol) is about answers; what the client wants is what it has said last.
		return client.Replace(t, r.GetResourceNames())
	},
	subscription: func(_ *cache.Client, _ cache.Type, r *discovery.DiscoveryRequest) ([]string, int) {
		return r.GetResourceNames(), len(r.GetResourceNames())
	},
	absent: func(*discovery.DiscoveryRequest) (*discovery.DiscoveryResponse, bool) {
		return nil, false // what does not exist is not mentioned
	},
	encode: func(r *cache.Response) *discovery.DiscoveryResponse {
		resources := make([]*anypb.Any, 0, len(r.Entries))
		for _, e := range r.Entries {
			resources = append(resources, e.Resource().GetResource())
		}
		return &discovery.DiscoveryResponse{
			TypeUrl:     r.Type.URL(),
			VersionInfo: r.Version,
			Nonce:       r.Nonce,
			Resources:   resources,
		}
	},
}
