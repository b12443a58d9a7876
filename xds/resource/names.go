package resource

import (
	"iter"
	"net"
	"slices"
	"strconv"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ClusterName is the name of the cluster that holds every backend in the order of the spec, and of its
// assignment. Where the first backend has slots, it is that of the slot Blue.
func ClusterName(exs *v1alpha1.ExposedService) string { return exs.Namespace + "/" + exs.Name }

// ShareName is the name of the cluster of a backend, or canary, that has a share beside the serving one.
func ShareName(exs *v1alpha1.ExposedService, backend string) string {
	return ClusterName(exs) + "/" + backend
}

// placeOf is how a slot of the first backend is called among the backends: Blue by the name of the backend, Green by one that no backend
// can have. It is the name of its locality.
func placeOf(exs *v1alpha1.ExposedService, slot v1alpha1.Slot) string {
	if slot == v1alpha1.SlotGreen {
		return string(slot)
	}
	return exs.Spec.Backends[0].Name
}

// LocalityOf is the name of the locality of a backend or canary, which may be in a slot. It is what clients report its calls by.
func LocalityOf(exs *v1alpha1.ExposedService, name string, slot v1alpha1.Slot) string {
	if slot == "" {
		return name
	}
	return placeOf(exs, slot)
}

// slotClusterName is the name of the cluster in which a slot of the first backend comes first.
func slotClusterName(exs *v1alpha1.ExposedService, slot v1alpha1.Slot) string {
	if slot == v1alpha1.SlotGreen {
		return ShareName(exs, string(slot))
	}
	return ClusterName(exs)
}

// PortName is the name of the listener of Envoy on a port, and of its route configuration. It is no
// ClientRouteName, because the name of an ExposedService starts with a letter.
func PortName(namespace string, port v1alpha1.PortNumber) string {
	return namespace + "/" + strconv.Itoa(int(port))
}

// ClientRouteName is the name of the route configuration of gRPC clients.
func ClientRouteName(exs *v1alpha1.ExposedService) string { return exs.Namespace + "/" + exs.Name }

// ClientName is the name by which a gRPC client always finds the service: xds:///<name>.<namespace>.
func ClientName(exs *v1alpha1.ExposedService) string { return exs.Name + "." + exs.Namespace }

// dialNames are all names by which gRPC clients find the service, by the host in each: with and without the port of a backend or
// of Envoy. Who dials xds:///greeter.shop:50051 means what dns:///greeter.shop:50051 would be.
func dialNames(e Exposure) iter.Seq2[string, string] {
	var ports []int32
	add := func(port int32) {
		if port != 0 && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	for _, b := range e.Service.Spec.Backends {
		add(e.Backends[b.Name].Port)
	}
	add(int32(ptr.Deref(e.Service.Spec.XDS.Port, 0)))
	return func(yield func(host, name string) bool) {
		for _, host := range clientHosts(e) {
			if !yield(host, host) {
				return
			}
			for _, port := range ports {
				if !yield(host, net.JoinHostPort(host, strconv.Itoa(int(port)))) {
					return
				}
			}
		}
	}
}

// clientHosts are all hosts by which gRPC clients find the service: ClientName, and the host names that
// are no wildcards and that nobody else has.
func clientHosts(e Exposure) []string {
	names := []string{ClientName(e.Service)}
	for _, hostname := range e.Service.Spec.Hostnames {
		if name := string(hostname); !strings.HasPrefix(name, "*") && name != names[0] && !slices.Contains(e.Lost, name) {
			names = append(names, name)
		}
	}
	return names
}
