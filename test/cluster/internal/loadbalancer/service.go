package loadbalancer

import (
	"net/netip"
)

// service is what matters here of a Service.
type service struct {
	Metadata struct {
		Namespace       string `json:"namespace"`
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Type              string  `json:"type"`
		LoadBalancerClass *string `json:"loadBalancerClass"`
	} `json:"spec"`
	Status struct {
		LoadBalancer struct {
			Ingress []ingress `json:"ingress"`
		} `json:"loadBalancer"`
	} `json:"status"`
}

type ingress struct {
	IP string `json:"ip"`
}

func (s service) key() string { return s.Metadata.Namespace + "/" + s.Metadata.Name }

// statusPath is where the service's status is patched.
func (s service) statusPath() string {
	return "/api/v1/namespaces/" + s.Metadata.Namespace + "/services/" + s.Metadata.Name + "/status"
}

// ours reports whether the service is to have an address from here. One with a class asks for another implementation.
func (s service) ours() bool { return s.Spec.Type == "LoadBalancer" && s.Spec.LoadBalancerClass == nil }

// address returns the service's address of the pool, if it has one.
func (s service) address(pool netip.Prefix) (netip.Addr, bool) {
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		if address, err := netip.ParseAddr(ingress.IP); err == nil && pool.Contains(address) {
			return address, true
		}
	}
	return netip.Addr{}, false
}
