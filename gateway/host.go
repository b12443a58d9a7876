package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// host is where an fqdn backend is.
type host struct {
	// addresses are those that the proxies can reach.
	addresses []string
	// unreachable are addresses of an IP family that the proxies do not have.
	unreachable []string
	// remembered: the name has not been resolved; the addresses are those that live objects or the status hold.
	remembered bool
	// live: a Backend that stands for the host exists.
	live bool
	// standsBy: the live fallback stands for the host.
	standsBy bool
}

// known: calls can be sent there. A live Backend without addresses is one of a version before, and names the host, which is better than
// nothing.
func (h host) known() bool { return len(h.addresses) > 0 || h.live && len(h.unreachable) == 0 }

// LiveHost is what live objects hold of an fqdn backend.
type LiveHost struct {
	// Addresses are the IP addresses in the Backends that stand for the host: its own, and the fallback.
	Addresses []string
	// Exists: it has a Backend of its own, so that a route may name it.
	Exists bool
}

// LiveHosts reads from the live objects where the fqdn backends were when they were last resolved, by the
// backends' names. Whoever has just started, and cannot resolve them, goes on with that.
func LiveHosts(exs *v1alpha1.ExposedService, live Live) map[string]LiveHost {
	out := map[string]LiveHost{}
	for _, b := range exs.Spec.Backends {
		if b.FQDN == nil {
			continue
		}
		if found := liveHost(exs, b.Name, live); found.Exists || len(found.Addresses) > 0 {
			out[b.Name] = found
		}
	}
	return out
}

// liveHost reads where one of them was.
func liveHost(exs *v1alpha1.ExposedService, backend string, live Live) LiveHost {
	var found LiveHost
	for _, object := range live.Backends {
		isHost := object.Name == HostName(exs, backend)
		// Beside those of others its addresses are not told apart.
		isFallback := object.Name == FallbackName(exs) && slices.Equal(Standby(object), []string{backend})
		if !isHost && !isFallback {
			continue
		}
		found.Exists = found.Exists || isHost
		for _, endpoint := range object.Spec.Endpoints {
			if endpoint.IP != nil {
				found.Addresses = append(found.Addresses, endpoint.IP.Address)
			}
		}
	}
	slices.Sort(found.Addresses)
	found.Addresses = slices.Compact(found.Addresses)
	return found
}

// Standby are the backends whose endpoints a fallback has, the one that it is made for first.
func Standby(fallback *egv1a1.Backend) []string {
	name := fallback.Labels[v1alpha1.LabelBackend]
	if name == "" {
		return nil
	}
	if besides := fallback.Annotations[v1alpha1.AnnotationBesides]; besides != "" {
		return append([]string{name}, strings.Split(besides, ",")...)
	}
	return []string{name}
}

// NeedsAddresses says whether somebody can call hosts by their addresses: Envoys of Envoy Gateway, or clients over xDS. The class may be
// nil: it does not exist, or there is no Gateway.
func NeedsAddresses(exs *v1alpha1.ExposedService, class *gwapiv1.GatewayClass) bool {
	return exs.Spec.XDS != nil || class != nil && class.Spec.ControllerName == EnvoyGatewayController
}

// sharesCluster says whether all backends share a cluster of Envoy Gateway.
func sharesCluster(exs *v1alpha1.ExposedService, class *gwapiv1.GatewayClass) bool {
	return class != nil && class.Spec.ControllerName == EnvoyGatewayController && exs.Spec.Backends[0].FQDN == nil
}

// resolveHosts notes where the fqdn backends are.
func (r Resolved) resolveHosts() {
	families := r.proxyFamilies()
	for i := range r.backends {
		b := &r.backends[i]
		if b.FQDN == nil || b.revoked {
			continue
		}
		live := r.facts.LiveHosts[b.Name]
		b.host = host{live: live.Exists, standsBy: slices.Contains(r.facts.LiveStandby, b.Name)}
		addresses := b.facts.Addresses
		if len(addresses) == 0 {
			addresses = live.Addresses
			if remembered := RememberedHost(r.exs, &b.Backend); len(addresses) == 0 && remembered != nil {
				addresses = remembered.Addresses
			}
			b.host.remembered = len(addresses) > 0
		}
		for _, address := range addresses {
			if len(families) == 0 || slices.Contains(families, familyOf(address)) {
				b.host.addresses = append(b.host.addresses, address)
			} else {
				b.host.unreachable = append(b.host.unreachable, address)
			}
		}
	}
}

// RememberedHost is where the host of a backend was according to the status; nil: nothing says so of that host.
func RememberedHost(exs *v1alpha1.ExposedService, b *v1alpha1.Backend) *v1alpha1.BackendHost {
	for _, status := range exs.Status.Backends {
		if status.Name == b.Name && status.Host != nil && b.FQDN != nil && status.Host.Hostname == string(b.FQDN.Hostname) {
			return status.Host
		}
	}
	return nil
}

// HasUnknownHost says whether there is a host of the spec of which nobody knows an address.
func (r Resolved) HasUnknownHost() bool {
	return slices.ContainsFunc(r.backends, func(b backend) bool {
		return !b.inside() && !b.revoked && len(b.host.addresses) == 0 && len(b.host.unreachable) == 0
	})
}

func familyOf(address string) corev1.IPFamily {
	parsed, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return corev1.IPFamilyUnknown
	case parsed.Unmap().Is4():
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// proxyFamilies are the IP families in which the proxies reach anything: their own, as far as they are
// known, and those of the Services in front of them. None: nothing is known.
func (r Resolved) proxyFamilies() []corev1.IPFamily {
	out := slices.Clone(r.facts.ProxyFamilies)
	for i := range r.backends {
		facts := &r.backends[i].facts
		for _, service := range []*corev1.Service{facts.OwnService, facts.Service} {
			if service != nil {
				out = append(out, service.Spec.IPFamilies...)
			}
		}
		if facts.Import == nil {
			continue
		}
		for j := range facts.Slices {
			if family := facts.Slices[j].AddressType; family != discoveryv1.AddressTypeFQDN {
				out = append(out, corev1.IPFamily(family))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hostStatus says what is known of a host. One that has no place in the route has no endpoint, whatever its
// name resolves to. Over xDS one that cannot be resolved, and of which nobody remembers an address, has none either;
// until that is known, nothing is.
func (r Resolved) hostStatus(b backend) v1alpha1.BackendStatus {
	out := v1alpha1.BackendStatus{Name: b.Name}
	if b.revoked {
		none := int32(0)
		out.Ready, out.Total, out.Message = &none, &none, b.facts.Refused
		return out
	}
	e := r.outlined()
	switch needed := NeedsAddresses(r.exs, r.facts.Class); {
	case r.facts.Class != nil && !e.hasPlace(b) && (r.exs.Spec.XDS == nil || sharesCluster(r.exs, r.facts.Class) && !b.host.known()):
		none := int32(0)
		out.Ready, out.Total, out.Message = &none, &none, noPlace
		if e.hostsWork() {
			out.Message = b.hostTrouble()
		}
	case needed && !b.host.known() && b.facts.Unresolved:
		none := int32(0)
		out.Ready, out.Total, out.Message = &none, &none, b.hostTrouble()
	case needed && !b.host.known():
		out.Health, out.Message = v1alpha1.BackendUnknown, b.hostTrouble()
	case needed:
		out.Message = b.hostTrouble()
	}
	return out
}

const noPlace = "a host outside the cluster needs the Backend API of Envoy Gateway, which is not available here"

// outlined is an expansion of which only the outline of the shape is known.
func (r Resolved) outlined() *expansion {
	return &expansion{exs: r.exs, facts: r.facts, shape: outline(r.exs, r.facts)}
}

// hostTrouble says what is wrong with the addresses of a host; empty: nothing.
func (b backend) hostTrouble() string {
	switch name := string(b.FQDN.Hostname); {
	case len(b.host.addresses) > 0 && !b.host.remembered:
		return b.facts.Refused
	case len(b.host.addresses) > 0:
		return fmt.Sprintf("host %s does not resolve; its last known addresses are used", name)
	case len(b.host.unreachable) > 0:
		return fmt.Sprintf("host %s has no address that the proxies can reach, only %s: give it an address of their IP family, "+
			"or let the Service of a backend have both (spec.ipFamilyPolicy: PreferDualStack)",
			name, strings.Join(b.host.unreachable[:min(len(b.host.unreachable), 3)], ", "))
	default:
		return fmt.Sprintf("host %s does not resolve to an address: correct the name, or the cluster's DNS", name)
	}
}

// hasPlace says whether the route can name the backend.
func (e *expansion) hasPlace(b backend) bool {
	return b.inside() || e.hostsWork() && b.host.known()
}

// addHosts makes a Backend for every fqdn backend. It holds the addresses that the host name resolves to, which Headgate keeps current.
// Envoy could resolve the name itself, but would call whatever it leads to: a host must not be a way to what is inside the cluster. In
// the one-cluster shape a name would get a cluster of its own as well.
func (e *expansion) addHosts() {
	for i, b := range e.backends {
		switch {
		case b.FQDN == nil, e.hostsWork() && !e.hasPlace(b):
		case e.hostsWork() && len(b.host.addresses) == 0:
			e.keep(egv1a1.GroupName, KindBackend, HostName(e.exs, b.Name))
		case e.hostsWork():
			e.add(e.hostBackend(b))
		case i == 0:
			e.problem(v1alpha1.ReasonBackendNotSupported,
				"spec.backends[0].fqdn: "+noPlace+": enable it, or make a Service without a selector and an EndpointSlice for the host")
		default:
			e.out.Ignored = append(e.out.Ignored, fmt.Sprintf("spec.backends[%d].fqdn", i))
		}
	}
}

func (e *expansion) hostBackend(b backend) *egv1a1.Backend {
	out := &egv1a1.Backend{
		TypeMeta:   metav1.TypeMeta{APIVersion: egv1a1.GroupVersion.String(), Kind: KindBackend},
		ObjectMeta: e.meta(HostName(e.exs, b.Name), b.Name),
		Spec:       egv1a1.BackendSpec{AppProtocols: []egv1a1.AppProtocolType{egv1a1.AppProtocolTypeH2C}},
	}
	for _, address := range b.host.addresses[:min(len(b.host.addresses), maxBackendEndpoints)] {
		out.Spec.Endpoints = append(out.Spec.Endpoints, egv1a1.BackendEndpoint{
			IP: &egv1a1.IPEndpoint{Address: address, Port: b.number()},
		})
	}
	return out
}

// hostsWork says whether a Backend can stand in a route.
func (e *expansion) hostsWork() bool {
	caps := e.facts.Capabilities
	return e.shape.envoyGateway && caps.Backend != CapabilityMissing && caps.Backend != CapabilityOff
}
