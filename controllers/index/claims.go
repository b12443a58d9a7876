package index

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
)

// maxRemembered is how many claims are remembered before the oldest are forgotten.
const maxRemembered = 1 << 14

// mostLists bounds how many lists a look for rivals costs: with more hosts than that, it looks at all on the Gateway.
const mostLists = 64

// Claims remembers what ExposedServices claim of Gateways. It changes with the generation alone, while
// the cache asks at each write of a status.
type Claims struct {
	mu sync.Mutex
	// young are what was asked for of late, old what was before: those that nobody asks for go.
	young, old map[claimsOf]refs.Claims
}

type claimsOf struct {
	uid        types.UID
	generation int64
}

// Of are the claims of an ExposedService.
func (c *Claims) Of(exs *v1alpha1.ExposedService) refs.Claims {
	which := claimsOf{exs.UID, exs.Generation}
	c.mu.Lock()
	defer c.mu.Unlock()
	have, known := c.young[which]
	if !known {
		if have, known = c.old[which]; !known {
			have = refs.ClaimsOf(exs)
		}
		if c.young == nil || len(c.young) >= maxRemembered {
			c.young, c.old = map[claimsOf]refs.Claims{}, c.young
		}
		c.young[which] = have
	}
	return have
}

// Routes are the routes of a kind that have some of the calls which an ExposedService wants, its own among them. They are only to be read.
func (c *Claims) Routes(ctx context.Context, reader client.Reader, exs *v1alpha1.ExposedService, k kube.Kind) ([]client.Object, error) {
	own := c.Of(exs)
	seen := map[types.NamespacedName]bool{}
	var out []client.Object
	err := look(own, func(by, value string) error {
		list := k.NewList()
		if err := reader.List(ctx, list, client.MatchingFields{by: value}, client.UnsafeDisableDeepCopy); err != nil {
			return err
		}
		return meta.EachListItem(list, func(item runtime.Object) error {
			route, isObject := item.(client.Object)
			if !isObject || seen[client.ObjectKeyFromObject(route)] {
				return nil
			}
			seen[client.ObjectKeyFromObject(route)] = true
			if slices.ContainsFunc(refs.ClaimsOfObject(route), func(its refs.Claims) bool { return len(own.Contests(its)) > 0 }) {
				out = append(out, route)
			}
			return nil
		})
	})
	return out, err
}

// look goes through the indexes by which those are found who claim some of the same calls: by the same hosts, and those of another namespace
// also by the wildcards over them and by what is under them. Some who are found claim none.
func look(own refs.Claims, list func(by, value string) error) error {
	if own.Gateway == "" {
		return nil
	}
	hosts := slices.Concat(own.HostKeys(), own.CoverKeys())
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	wide := own.WideKeys()
	if len(hosts)+len(wide) > mostLists {
		return list(ByGateway, own.Gateway)
	}
	for _, value := range hosts {
		if err := list(ByRouteHost, value); err != nil {
			return err
		}
	}
	for _, value := range wide {
		if err := list(ByRouteCover, value); err != nil {
			return err
		}
	}
	return nil
}

// Rivals are the other ExposedServices that claim some of the same calls. They are only to be read.
func (c *Claims) Rivals(ctx context.Context, reader client.Reader, exs *v1alpha1.ExposedService) ([]*v1alpha1.ExposedService, error) {
	rivals, err := c.claiming(ctx, reader, c.Of(exs))
	return slices.DeleteFunc(rivals, func(rival *v1alpha1.ExposedService) bool {
		return rival.Namespace == exs.Namespace && rival.Name == exs.Name
	}), err
}

// WantThoseOf are the ExposedServices that claim some of the calls of a route.
func (c *Claims) WantThoseOf(ctx context.Context, reader client.Reader, route client.Object) ([]*v1alpha1.ExposedService, error) {
	var out []*v1alpha1.ExposedService
	for _, claims := range refs.ClaimsOfObject(route) {
		found, err := c.claiming(ctx, reader, claims)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func (c *Claims) claiming(ctx context.Context, reader client.Reader, own refs.Claims) ([]*v1alpha1.ExposedService, error) {
	seen := map[types.NamespacedName]bool{}
	var out []*v1alpha1.ExposedService
	err := look(own, func(by, value string) error {
		var list v1alpha1.ExposedServiceList
		if err := reader.List(ctx, &list, client.MatchingFields{by: value}, client.UnsafeDisableDeepCopy); err != nil {
			return err
		}
		for i := range list.Items {
			other := &list.Items[i]
			if key := client.ObjectKeyFromObject(other); !seen[key] {
				seen[key] = true
				if len(own.Contests(c.Of(other))) > 0 {
					out = append(out, other)
				}
			}
		}
		return nil
	})
	return out, err
}
