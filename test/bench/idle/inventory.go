package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// writtenKinds are those of which Headgate writes objects.
var writtenKinds = []schema.GroupVersionKind{
	v1alpha1.GroupVersion.WithKind("ExposedServiceList"),
	{Group: "", Version: "v1", Kind: "ServiceList"},
	{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSliceList"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "GatewayList"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "GRPCRouteList"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "BackendList"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "BackendTrafficPolicyList"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "EnvoyPatchPolicyList"},
	{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Kind: "EnvoyProxyList"},
}

// inventory are the objects of the namespace, by kind and name, with who wrote to them when.
type inventory map[string]metav1.ObjectMeta

func (b *bench) takeInventory(ctx context.Context) (inventory, error) {
	out := inventory{}
	for _, kind := range writtenKinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		if err := b.List(ctx, list, client.InNamespace(space)); err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
		}
		for _, object := range list.Items {
			out[strings.TrimSuffix(kind.Kind, "List")+" "+object.Name] = object.ObjectMeta
		}
	}
	return out, nil
}

// changedSince names the objects that are new, gone, or have another resource version.
func (i inventory) changedSince(before inventory) []string {
	var out []string
	for name, now := range i {
		if before[name].ResourceVersion != now.ResourceVersion {
			out = append(out, name)
		}
	}
	for name := range before {
		if _, there := i[name]; !there {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// writersSince names who wrote to an object since a time.
func (i inventory) writersSince(name string, since time.Time) []string {
	var out []string
	for _, entry := range i[name].ManagedFields {
		// The times of managed fields are in whole seconds.
		if entry.Time != nil && !entry.Time.Time.Before(since.Truncate(time.Second)) {
			out = append(out, entry.Manager)
		}
	}
	return out
}
