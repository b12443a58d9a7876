package resource

import (
	"strconv"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ClusterName is the name of the cluster that holds every backend in the order of the spec, and of its
// assignment.
func ClusterName(exs *v1alpha1.ExposedService) string { return exs.Namespace + "/" + exs.Name }

// ShareName is the name of the cluster of a backend, or canary, that has a share beside the serving one.
func ShareName(exs *v1alpha1.ExposedService, backend string) string {
	return ClusterName(exs) + "/" + backend
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

// clientNames are all names by which gRPC clients find the service: ClientName, and the host names that
// are no wildcards.
func clientNames(exs *v1alpha1.ExposedService) []string {
	names := []string{ClientName(exs)}
	for _, hostname := range exs.Spec.Hostnames {
		if name := string(hostname); !strings.HasPrefix(name, "*") && name != names[0] {
			names = append(names, name)
		}
	}
	return names
}
