package loadbalancer

import (
	"net/netip"
	"slices"
	"strconv"
)

// service is what matters here of a Service.
type service struct {
	Metadata struct {
		Namespace       string `json:"namespace"`
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Type              string   `json:"type"`
		LoadBalancerClass *string  `json:"loadBalancerClass"`
		ExternalIPs       []string `json:"externalIPs"`
		Ports             []port   `json:"ports"`
	} `json:"spec"`
	Status struct {
		LoadBalancer struct {
			Ingress []ingress `json:"ingress"`
		} `json:"loadBalancer"`
	} `json:"status"`
}

type port struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

type ingress struct {
	IP string `json:"ip"`
}

func (s service) key() string { return s.Metadata.Namespace + "/" + s.Metadata.Name }

// version orders what is known of a service. (An API server's versions are numbers that grow.)
func (s service) version() uint64 {
	version, _ := strconv.ParseUint(s.Metadata.ResourceVersion, 10, 64)
	return version
}

// path is where the service is patched, statusPath where its status is.
func (s service) path() string {
	return "/api/v1/namespaces/" + s.Metadata.Namespace + "/services/" + s.Metadata.Name
}

func (s service) statusPath() string { return s.path() + "/status" }

// ours reports whether the service is to have an address from here. One with a class asks for another implementation.
func (s service) ours() bool { return s.Spec.Type == "LoadBalancer" && s.Spec.LoadBalancerClass == nil }

// published returns the service's address of the pool that its status shows, if there is one.
func (s service) published(pool netip.Prefix) (netip.Addr, bool) {
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		if address, in := inPool(pool, ingress.IP); in {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// prepared returns the service's address of the pool that kube-proxy alone is told, if there is one.
func (s service) prepared(pool netip.Prefix) (netip.Addr, bool) {
	for _, ip := range s.Spec.ExternalIPs {
		if address, in := inPool(pool, ip); in {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// othersIPs are the service's external addresses that are not from here: whose they are does not matter, they stay.
func (s service) othersIPs(pool netip.Prefix) []string {
	return slices.DeleteFunc(slices.Clone(s.Spec.ExternalIPs), func(ip string) bool {
		_, ours := inPool(pool, ip)
		return ours
	})
}

// doors are where the service takes TCP connections at an address.
func (s service) doors(address netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, p := range s.Spec.Ports {
		if p.Protocol == "TCP" {
			out = append(out, netip.AddrPortFrom(address, p.Port))
		}
	}
	return out
}

func inPool(pool netip.Prefix, text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	return address, err == nil && pool.Contains(address)
}
