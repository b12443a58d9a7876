package server

import (
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/headgate/headgate/xds/cache"
)

// delta is incremental xDS.
var delta = variant[*discovery.DeltaDiscoveryRequest, *discovery.DeltaDiscoveryResponse]{
	protocol: cache.Incremental,
	subscribe: func(client *cache.Client, t cache.Type, r *discovery.DeltaDiscoveryRequest) (bool, error) {
		subscribe, unsubscribe, known := r.GetResourceNamesSubscribe(), r.GetResourceNamesUnsubscribe(), r.GetInitialResourceVersions()
		return len(subscribe)+len(unsubscribe)+len(known) > 0, client.Adjust(t, subscribe, unsubscribe, known)
	},
	subscription: func(client *cache.Client, t cache.Type, r *discovery.DeltaDiscoveryRequest) ([]string, int) {
		// What the client brings along names mostly what it subscribes to, and is followed as well.
		names := r.GetResourceNamesSubscribe()
		return names, client.Names(t) + max(len(names), len(r.GetInitialResourceVersions()))
	},
	absent: func(r *discovery.DeltaDiscoveryRequest) (*discovery.DeltaDiscoveryResponse, bool) {
		names := r.GetResourceNamesSubscribe()
		if len(names) == 0 {
			return nil, false
		}
		return &discovery.DeltaDiscoveryResponse{TypeUrl: r.GetTypeUrl(), Nonce: "absent", RemovedResources: names}, true
	},
	encode: func(r *cache.Response) *discovery.DeltaDiscoveryResponse {
		resources := make([]*discovery.Resource, 0, len(r.Entries))
		for _, e := range r.Entries {
			resources = append(resources, e.Resource())
		}
		return &discovery.DeltaDiscoveryResponse{
			TypeUrl:           r.Type.URL(),
			SystemVersionInfo: r.Version,
			Nonce:             r.Nonce,
			Resources:         resources,
			RemovedResources:  r.Removed,
		}
	},
}
