package signals

import (
	"fmt"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Pod is a pod that shows metrics of its own.
type Pod struct {
	// ID tells it from all others there have ever been: its UID.
	ID string
	// Name is for people.
	Name string
	// Address is where its metrics are.
	Address netip.AddrPort
	// Ready: it is to get calls. Of one that is not only what it says is taken, and nothing is made of its silence.
	Ready bool
}

// PodsOf are the pods of a namespace, in the EndpointSlices of one Service, that answer calls, draining ones among them. The port is a
// number, or the name of a port of the Service; where the slices do not have that name, otherwise is taken if it is not 0. It is an error
// to have no port, and to have endpoints of which none is such a pod. Each pod is there once, at its first address.
//
// Addresses that somebody wrote by hand, for a Service without a selector, are nobody's pods: whoever writes them does not get to have
// them asked.
func PodsOf(endpointSlices []discoveryv1.EndpointSlice, namespace, port string, otherwise uint16) ([]Pod, error) {
	var out []Pod
	seen := map[string]bool{}
	strangers := false
	for i := range endpointSlices {
		slice := &endpointSlices[i]
		number, ok := podPort(slice, port, otherwise)
		if !ok {
			return nil, fmt.Errorf("the Service has no port named %s: add it, or set the number of the pods' port", port)
		}
		for j := range slice.Endpoints {
			endpoint, answers := answering(&slice.Endpoints[j], number)
			if !answers {
				continue
			}
			pod := slice.Endpoints[j].TargetRef
			if !isPodOf(pod, namespace) {
				strangers = true
				continue
			}
			if seen[string(pod.UID)] {
				continue
			}
			seen[string(pod.UID)] = true
			out = append(out, Pod{
				ID: string(pod.UID), Name: pod.Name, Address: endpoint.Addresses[0], Ready: endpoint.Ready && !endpoint.Terminating,
			})
		}
	}
	if len(out) == 0 && strangers {
		return nil, fmt.Errorf("none of the Service's endpoints is a pod of namespace %s, and no other address is asked for metrics: "+
			"give the Service a selector of pods in that namespace, or set another source", namespace)
	}
	return out, nil
}

// answering is an endpoint, and whether it answers calls.
func answering(source *discoveryv1.Endpoint, port uint16) (Endpoint, bool) {
	if len(source.Addresses) == 0 || isForDocumentation(source.Addresses[0]) {
		return Endpoint{}, false
	}
	endpoint := endpointOf(source, port)
	return endpoint, endpoint.Serving && len(endpoint.Addresses) > 0
}

func isPodOf(target *corev1.ObjectReference, namespace string) bool {
	return target != nil && target.Kind == "Pod" && target.Namespace == namespace && target.UID != ""
}

// PortOf is the number of the port of that name in the first slice that has it; 0: none does.
func PortOf(endpointSlices []discoveryv1.EndpointSlice, name string) uint16 {
	for i := range endpointSlices {
		if number, ok := portNumber(&endpointSlices[i], name); ok {
			return number
		}
	}
	return 0
}

func podPort(slice *discoveryv1.EndpointSlice, port string, otherwise uint16) (uint16, bool) {
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		return uint16(number), number > 0
	}
	if number, ok := portNumber(slice, port); ok && number > 0 {
		return number, true
	}
	return otherwise, otherwise > 0
}
