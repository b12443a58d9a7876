package gateway

import (
	"fmt"
	"slices"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// maxBackendEndpoints is how many endpoints one Backend may hold (its CRD says so).
const maxBackendEndpoints = 256

// addFallback makes the Backend that becomes priority 1 of the cluster. It holds the pod IPs of
// the backup, for good balance, and the ClusterIP of its Service, which stays right when nobody
// is there to keep the pod IPs current; for a moment after a switch also those of the backend that serves.
//
// Where Envoy Gateway's Backend API is off the object is made all the same: its status is where
// the API's coming back shows.
func (e *expansion) addFallback() {
	if !e.shape.priorities && !e.shape.probe || !e.shape.envoyGateway || e.shape.fallback < 0 || e.facts.Capabilities.Backend == CapabilityMissing {
		return
	}
	endpoints := e.fallbackEndpoints()
	if len(endpoints) == 0 {
		if len(e.facts.LiveStandby) > 0 && !e.backends[e.shape.fallback].revoked {
			// It exists, so its endpoints were known before: they are not forgotten.
			e.keep(egv1a1.GroupName, KindBackend, FallbackName(e.exs))
			e.useFallback()
			return
		}
		if e.shape.priorities {
			e.out.FailoverReason = v1alpha1.ReasonNoFallback
			e.out.FailoverMessage = fmt.Sprintf("backend %s has no address yet", e.backends[e.shape.fallback].Name)
		}
		return
	}
	e.useFallback()
	meta := e.meta(FallbackName(e.exs), e.backends[e.shape.fallback].Name)
	if len(e.shape.besides) > 0 {
		var names []string
		for _, i := range e.shape.besides {
			names = append(names, e.backends[i].Name)
		}
		meta.Annotations = map[string]string{v1alpha1.AnnotationBesides: strings.Join(names, ",")}
	}
	e.add(&egv1a1.Backend{
		TypeMeta:   metav1.TypeMeta{APIVersion: egv1a1.GroupVersion.String(), Kind: KindBackend},
		ObjectMeta: meta,
		Spec: egv1a1.BackendSpec{
			Fallback:     ptr.To(true),
			AppProtocols: []egv1a1.AppProtocolType{egv1a1.AppProtocolTypeH2C},
			Endpoints:    endpoints,
		},
	})
}

// useFallback lets the route name the fallback, and, where Envoy turns to it, the status as well.
func (e *expansion) useFallback() {
	e.hasFallback = true
	if e.shape.priorities {
		e.out.Failover.Fallback = e.backends[e.shape.fallback].Name
	}
}

// fallbackEndpoints are those of the backend that stands by, and of those beside it. Each has its pods' addresses, as many as there is
// room for, and the ClusterIP of its Service, which leads to the others.
func (e *expansion) fallbackEndpoints() []egv1a1.BackendEndpoint {
	var clusterIPs, pods []endpoint
	standby := append([]int{e.shape.fallback}, e.shape.besides...)
	for _, i := range standby {
		if clusterIP, ok := e.fallbackClusterIP(e.backends[i]); ok {
			clusterIPs = append(clusterIPs, clusterIP)
		}
	}
	room := maxBackendEndpoints - len(clusterIPs)
	for _, i := range standby {
		addresses := e.backends[i].readyAddresses()
		if fit := max(0, room-len(pods)); len(addresses) > fit {
			e.out.Backends[i].Message = fmt.Sprintf(
				"%d of its %d ready endpoints stand by; the others take part through the Service's ClusterIP", fit, len(addresses))
			addresses = addresses[:fit]
		}
		pods = append(pods, addresses...)
	}
	var out []egv1a1.BackendEndpoint
	seen := map[endpoint]bool{}
	for _, ep := range append(pods, clusterIPs...) {
		if !seen[ep] {
			out = append(out, egv1a1.BackendEndpoint{IP: &egv1a1.IPEndpoint{Address: ep.address, Port: ep.port}})
		}
		seen[ep] = true
	}
	return out
}

// readyAddresses are those of its ready endpoints, or of its host, in order.
func (b backend) readyAddresses() []endpoint {
	var addresses []endpoint
	if b.FQDN != nil {
		for _, address := range b.host.addresses {
			addresses = append(addresses, endpoint{address: address, port: b.number(), ready: true})
		}
	} else {
		addresses = slices.Clone(b.endpoints)
	}
	addresses = slices.DeleteFunc(addresses, func(ep endpoint) bool { return !ep.ready })
	slices.SortFunc(addresses, func(a, b endpoint) int { return strings.Compare(a.address, b.address) })
	return addresses
}

// fallbackClusterIP is the ClusterIP of our Service for the backend, once it has one and the nodes
// know it: a connection that Envoy's health check opens before that finds nobody, and hangs for up to
// two minutes, because what a node has once passed on unchanged it passes on unchanged again.
func (e *expansion) fallbackClusterIP(b backend) (endpoint, bool) {
	service := b.facts.OwnService
	if b.revoked || service == nil || b.facts.OwnServiceIsNew || service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return endpoint{}, false
	}
	return endpoint{address: service.Spec.ClusterIP, port: b.number(), ready: true}, true
}
