// Package loadbalancer gives every Service of type LoadBalancer an address of its own, and publishes it when it works.
//
// kube-proxy sends on to the pods whatever is addressed to an address in a Service's status; but whoever reads the status may be faster than
// kube-proxy, and who connects too early hangs for 3 s and then has no route. So kube-proxy is told before, by spec.externalIPs, which nobody
// else takes for the address of a load balancer. When connections to it get an answer it goes into the status, and out of the spec again.
package loadbalancer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/kube"
)

// Controller watches all Services of a cluster.
type Controller struct {
	Client *kube.Client
	Pool   netip.Prefix
	// Works returns nil if connections to all these get an answer.
	Works func(context.Context, []netip.AddrPort) error

	last netip.Addr // the address given last
}

const servicesPath = "/api/v1/services"

const (
	// pauseAfterError is how long the controller waits for an API server that does not answer.
	pauseAfterError = 500 * time.Millisecond
	// pauseBetweenProbes is how long it waits before it tries again whether an address works.
	pauseBetweenProbes = 10 * time.Millisecond
)

// Run works until ctx ends. A lost connection is no more than the start of the next round.
func (c *Controller) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.round(ctx); err != nil && ctx.Err() == nil {
			log.Printf("load balancer: %v: listing services anew", err)
			select {
			case <-ctx.Done():
			case <-time.After(pauseAfterError):
			}
		}
	}
}

// round lists all services and follows their changes until the API server ends the watch.
func (c *Controller) round(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []service `json:"items"`
	}
	if err := c.Client.Get(ctx, servicesPath, &list); err != nil {
		return err
	}
	services := map[string]service{}
	for _, s := range list.Items {
		services[s.key()] = s
	}
	events, ended := c.watch(ctx, list.Metadata.ResourceVersion)
	for {
		pending, err := c.apply(ctx, services)
		if err != nil {
			return err
		}
		var again <-chan time.Time
		if pending {
			again = time.After(pauseBetweenProbes)
		}
		select {
		case change := <-events:
			change(services)
		case err := <-ended:
			return err
		case <-again:
		}
	}
}

// watch follows the changes of services from a version on. The second channel yields why it ended.
func (c *Controller) watch(ctx context.Context, version string) (<-chan func(map[string]service), <-chan error) {
	events, ended := make(chan func(map[string]service)), make(chan error, 1)
	query := url.Values{"watch": {"1"}, "resourceVersion": {version}}
	go func() {
		ended <- c.Client.Watch(ctx, servicesPath+"?"+query.Encode(), func(event kube.Event) error {
			change, err := read(event)
			if err != nil {
				return fmt.Errorf("watch of services: %w", err)
			}
			select {
			case events <- change:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return events, ended
}

// read turns an event into the change that it tells of.
func read(event kube.Event) (func(map[string]service), error) {
	if event.Type == "ERROR" {
		return nil, errors.New(string(event.Object))
	}
	var s service
	if err := json.Unmarshal(event.Object, &s); err != nil {
		return nil, err
	}
	return func(services map[string]service) {
		switch known, is := services[s.key()]; {
		case is && s.version() < known.version():
			// Of before a step of ours, whose answer was here first.
		case event.Type == "DELETED":
			delete(services, s.key())
		default:
			services[s.key()] = s
		}
	}, nil
}

// apply takes the next steps, and reports whether any address does not work yet.
func (c *Controller) apply(ctx context.Context, services map[string]service) (pending bool, err error) {
	changes, full := decide(c.Pool, c.last, services)
	working := c.working(ctx, changes)
	for i, change := range changes {
		if !working[i] {
			pending = true
			continue
		}
		after, err := c.take(ctx, change)
		if isStale(err) {
			continue // its event is on the way
		}
		if err != nil {
			return false, fmt.Errorf("%s the address of service %s: %w", change.kind, change.service.key(), err)
		}
		log.Printf("load balancer: service %s: %s %v", after.key(), change.kind, change.address)
		services[after.key()] = after
		if change.kind == prepare {
			c.last = change.address
		}
	}
	return pending, full
}

// working tells for each change whether it can be made: an address that is to be published has to work. All are tried at once.
func (c *Controller) working(ctx context.Context, changes []change) []bool {
	out := make([]bool, len(changes))
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(func() {
			out[i] = change.kind != publish || c.Works(ctx, change.service.doors(change.address)) == nil
		})
	}
	all.Wait()
	return out
}

// take makes a change, and returns the service as it is then.
func (c *Controller) take(ctx context.Context, change change) (service, error) {
	path, content := change.patch(c.Pool)
	// With its version the patch fails if the service has changed meanwhile.
	content["metadata"] = map[string]any{"resourceVersion": change.service.Metadata.ResourceVersion}
	var after service
	err := c.Client.MergePatch(ctx, path, content, &after)
	return after, err
}

// isStale reports whether a patch was refused because the service has changed, or is gone.
func isStale(err error) bool {
	status, ok := errors.AsType[*kube.StatusError](err)
	return ok && (status.Code == http.StatusConflict || status.Code == http.StatusNotFound)
}
