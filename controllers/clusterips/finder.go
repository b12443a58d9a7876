package clusterips

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Nodes have addresses and ranges of addresses for their Pods, and Services have ranges. Both are cluster-wide, and asked for when the first
// host is looked up.
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list

// fresh is how old what was read may be. Hosts are looked up again after half a minute.
const fresh = 10 * time.Second

// What an address is one of.
const (
	aPod     = "a Pod"
	aService = "a Service"
	aNode    = "a node"
)

// Finder finds out what an address belongs to.
type Finder struct {
	cached, live client.Reader
	clock        clock.PassiveClock
	namespaces   []string

	mu sync.Mutex
	// known is what was read at a time.
	known *addresses
	read  time.Time
}

// New reads Services, EndpointSlices and nodes from the cache, and what nothing else needs past it. The namespaces are those that are
// watched; none: all.
func New(cached, live client.Reader, clock clock.PassiveClock, namespaces []string) *Finder {
	return &Finder{cached: cached, live: live, clock: clock, namespaces: namespaces}
}

// Owner says whose an address is: "a Pod", "a Service", "a node"; empty: nobody's of the cluster, as far as can be seen. An
// error: it could not be found out.
func (f *Finder) Owner(ctx context.Context, ip netip.Addr) (string, error) {
	ip = ip.Unmap().WithZone("")
	known, err := f.addresses(ctx)
	if err != nil {
		return "", err
	}
	if owner := known.ownerOf(ip); owner != "" {
		return owner, nil
	}
	return f.podAt(ctx, ip)
}

// addresses are those of the cluster as of a moment ago.
func (f *Finder) addresses(ctx context.Context) (*addresses, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known != nil && f.clock.Since(f.read) < fresh {
		return f.known, nil
	}
	began := f.clock.Now()
	known, err := f.readAll(ctx)
	if err != nil {
		return nil, err
	}
	f.known, f.read = known, began
	return known, nil
}

func (f *Finder) readAll(ctx context.Context) (*addresses, error) {
	out := &addresses{owners: map[netip.Addr]string{}}
	var nodes corev1.NodeList
	if err := f.cached.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	for i := range nodes.Items {
		out.addNode(&nodes.Items[i])
	}
	var ranges networkingv1.ServiceCIDRList
	// Before Kubernetes 1.33 there is no such kind.
	if err := f.live.List(ctx, &ranges); err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("list the ServiceCIDRs: %w", err)
	}
	for _, r := range ranges.Items {
		out.addRanges(aService, r.Spec.CIDRs)
	}
	var services corev1.ServiceList
	if err := f.cached.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the Services: %w", err)
	}
	for i := range services.Items {
		out.add(aService, services.Items[i].Spec.ClusterIPs...)
		out.add(aService, services.Items[i].Spec.ClusterIP)
	}
	var endpoints discoveryv1.EndpointSliceList
	if err := f.cached.List(ctx, &endpoints, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the EndpointSlices: %w", err)
	}
	for i := range endpoints.Items {
		for j := range endpoints.Items[i].Endpoints {
			// Others are addresses outside, which somebody has written down for a Service.
			if endpoint := &endpoints.Items[i].Endpoints[j]; endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod" {
				out.add(aPod, endpoint.Addresses...)
			}
		}
	}
	return out, nil
}

// podAt looks for a Pod that no Service selects and whose address is in no range of a node, as some networks give them.
func (f *Finder) podAt(ctx context.Context, ip netip.Addr) (string, error) {
	namespaces := f.namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
		err := f.live.List(ctx, found, client.InNamespace(namespace), client.MatchingFields{"status.podIP": ip.String()},
			// From the memory of the API server: it has to look at all of them.
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
		if err != nil {
			return "", fmt.Errorf("look for a Pod with address %s: %w", ip, err)
		}
		if len(found.Items) > 0 {
			return aPod, nil
		}
	}
	return "", nil
}

// addresses are those of a cluster, and ranges of them.
type addresses struct {
	owners map[netip.Addr]string
	ranges []ownedRange
}

type ownedRange struct {
	prefix netip.Prefix
	owner  string
}

func (a *addresses) add(owner string, ips ...string) {
	for _, text := range ips {
		// "None" of a headless Service is no address.
		if ip, err := netip.ParseAddr(text); err == nil {
			a.owners[ip.Unmap()] = owner
		}
	}
}

func (a *addresses) addRanges(owner string, cidrs []string) {
	for _, text := range cidrs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || slices.ContainsFunc(a.ranges, func(r ownedRange) bool { return r.prefix == prefix }) {
			continue
		}
		a.ranges = append(a.ranges, ownedRange{prefix, owner})
	}
}

func (a *addresses) addNode(node *corev1.Node) {
	for _, address := range node.Status.Addresses {
		a.add(aNode, address.Address)
	}
	a.addRanges(aPod, node.Spec.PodCIDRs)
	a.addRanges(aPod, []string{node.Spec.PodCIDR})
}

func (a *addresses) ownerOf(ip netip.Addr) string {
	if owner := a.owners[ip]; owner != "" {
		return owner
	}
	for _, r := range a.ranges {
		if r.prefix.Contains(ip) {
			return r.owner
		}
	}
	return ""
}

// StripNode is for nodes in the cache: of each its addresses are kept, and those of its Pods.
func StripNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &corev1.Node{
		TypeMeta:   node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion},
		Spec:       corev1.NodeSpec{PodCIDR: node.Spec.PodCIDR, PodCIDRs: slices.Clip(node.Spec.PodCIDRs)},
		Status:     corev1.NodeStatus{Addresses: slices.Clip(node.Status.Addresses)},
	}, nil
}
