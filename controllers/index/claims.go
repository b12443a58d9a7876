package index

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
)

// maxRemembered is how many claims are remembered before the oldest are forgotten.
const maxRemembered = 1 << 14

// mostLists bounds how many lists a look for rivals costs: with more claims than that, it goes by host, and finds some who
// are none.
const mostLists = 64

// Claims remembers what ExposedServices claim of Gateways. It changes with the generation alone, while
// the cache asks at each write of a status.
type Claims struct {
	mu sync.Mutex
	// young are what was asked for of late, old what was before: those that nobody asks for go.
	young, old map[claimsOf]remembered
}

type claimsOf struct {
	uid        types.UID
	generation int64
}

type remembered struct {
	claims refs.Claims
	keys   []string
}

// Of are the claims of an ExposedService.
func (c *Claims) Of(exs *v1alpha1.ExposedService) refs.Claims { return c.of(exs).claims }

// keysOf are the values by which it is found.
func (c *Claims) keysOf(exs *v1alpha1.ExposedService) []string { return c.of(exs).keys }

func (c *Claims) of(exs *v1alpha1.ExposedService) remembered {
	which := claimsOf{exs.UID, exs.Generation}
	c.mu.Lock()
	defer c.mu.Unlock()
	have, known := c.young[which]
	if !known {
		if have, known = c.old[which]; !known {
			have.claims = refs.ClaimsOf(exs)
			have.keys = have.claims.Keys()
		}
		if c.young == nil || len(c.young) >= maxRemembered {
			c.young, c.old = map[claimsOf]remembered{}, c.young
		}
		c.young[which] = have
	}
	return have
}

// Routes are the routes of Headgate's that have some of the calls which an ExposedService wants, its own among them.
func (c *Claims) Routes(ctx context.Context, reader client.Reader, exs *v1alpha1.ExposedService) ([]*gwapiv1.GRPCRoute, error) {
	own := c.of(exs)
	field, values := own.look()
	seen := map[types.NamespacedName]bool{}
	var out []*gwapiv1.GRPCRoute
	for _, value := range values {
		var list gwapiv1.GRPCRouteList
		if err := reader.List(ctx, &list, client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		for i := range list.Items {
			route := &list.Items[i]
			if key := client.ObjectKeyFromObject(route); !seen[key] {
				seen[key] = true
				if len(own.claims.Common(refs.ClaimsOfRoute(route))) > 0 {
					out = append(out, route)
				}
			}
		}
	}
	return out, nil
}

// look says by which index to look for those who claim the same, and for what.
func (r remembered) look() (field string, values []string) {
	if len(r.keys) > mostLists {
		return ByRouteHost, r.claims.HostKeys()
	}
	return ByRoute, r.keys
}

// ofRoute are the claims of a route of Headgate's; others have none here.
func ofRoute(object client.Object) refs.Claims {
	route, isRoute := object.(*gwapiv1.GRPCRoute)
	if !isRoute || len(kube.OwnersOf(route)) == 0 {
		return refs.Claims{}
	}
	return refs.ClaimsOfRoute(route)
}

// Rivals are the other ExposedServices that claim some of the same calls. They are only to be read.
func (c *Claims) Rivals(ctx context.Context, reader client.Reader, exs *v1alpha1.ExposedService) ([]*v1alpha1.ExposedService, error) {
	own := c.of(exs)
	field, values := own.look()
	seen := map[types.NamespacedName]bool{client.ObjectKeyFromObject(exs): true}
	var out []*v1alpha1.ExposedService
	for _, value := range values {
		var list v1alpha1.ExposedServiceList
		if err := reader.List(ctx, &list, client.MatchingFields{field: value}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		for i := range list.Items {
			other := &list.Items[i]
			if key := client.ObjectKeyFromObject(other); !seen[key] {
				seen[key] = true
				if len(own.claims.Common(c.Of(other))) > 0 {
					out = append(out, other)
				}
			}
		}
	}
	return out, nil
}
