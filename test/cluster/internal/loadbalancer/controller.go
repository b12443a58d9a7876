// Package loadbalancer gives every Service of type LoadBalancer an address of its own.
// The rest is done by kube-proxy, which sends on to the pods whatever is addressed to an address in a Service's status.
package loadbalancer

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/netip"
	"net/url"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/kube"
)

// Controller watches all Services of a cluster.
type Controller struct {
	Client *kube.Client
	Pool   netip.Prefix
}

const servicesPath = "/api/v1/services"

// pauseAfterError is how long the controller waits for an API server that does not answer.
const pauseAfterError = 500 * time.Millisecond

// Run works until ctx ends. A lost connection is no more than the start of the next round.
func (c Controller) Run(ctx context.Context) {
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
func (c Controller) round(ctx context.Context) error {
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
	if err := c.apply(ctx, services); err != nil {
		return err
	}
	query := url.Values{"watch": {"1"}, "resourceVersion": {list.Metadata.ResourceVersion}}
	return c.Client.Watch(ctx, servicesPath+"?"+query.Encode(), func(event kube.Event) error {
		if event.Type == "ERROR" {
			return fmt.Errorf("watch of services: %s", event.Object)
		}
		var s service
		if err := json.Unmarshal(event.Object, &s); err != nil {
			return fmt.Errorf("watch of services: %w", err)
		}
		if event.Type == "DELETED" {
			delete(services, s.key())
		} else {
			services[s.key()] = s
		}
		return c.apply(ctx, services)
	})
}

func (c Controller) apply(ctx context.Context, services map[string]service) error {
	changes, full := decide(c.Pool, services)
	for _, change := range changes {
		patch := map[string]any{
			// With its version the patch fails if the service has changed meanwhile; its event is on the way then.
			"metadata": map[string]any{"resourceVersion": change.service.Metadata.ResourceVersion},
			"status":   map[string]any{"loadBalancer": map[string]any{"ingress": change.addresses}},
		}
		if err := c.Client.MergePatch(ctx, change.service.statusPath(), patch); err != nil {
			return fmt.Errorf("address of service %s: %w", change.service.key(), err)
		}
		log.Printf("load balancer: service %s has %v", change.service.key(), change.addresses)
		change.service.Status.LoadBalancer.Ingress = change.addresses
		services[change.service.key()] = change.service
	}
	return full
}
