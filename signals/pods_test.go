package signals

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// podSlice has ports grpc and metrics, and endpoints as pods: "a" is ready, "b:draining" and "c:down" say so.
func podSlice(pods ...string) discoveryv1.EndpointSlice {
	out := discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{
		{Name: ptr.To("grpc"), Port: ptr.To[int32](50051)}, {Name: ptr.To("metrics"), Port: ptr.To[int32](8080)},
	}}
	for _, pod := range pods {
		name, state, _ := strings.Cut(pod, ":")
		endpoint := discoveryv1.Endpoint{
			Addresses:  []string{"10.0.0." + name},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(state == ""), Serving: ptr.To(state != "down"), Terminating: ptr.To(state == "draining")},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "pod-" + name, UID: types.UID("uid-" + name)},
		}
		out.Endpoints = append(out.Endpoints, endpoint)
	}
	return out
}

func TestPodsOfAService(t *testing.T) {
	all := []discoveryv1.EndpointSlice{podSlice("1", "2:draining", "3:down"), podSlice("1", "4")}
	changed := func(change func(*discoveryv1.Endpoint), pods ...string) discoveryv1.EndpointSlice {
		out := podSlice(pods...)
		change(&out.Endpoints[0])
		return out
	}
	nobodys := func(endpoint *discoveryv1.Endpoint) { endpoint.TargetRef = nil }
	const none = "none of the Service's endpoints is a pod of namespace shop"
	for name, c := range map[string]struct {
		slices    []discoveryv1.EndpointSlice
		port      string
		otherwise uint16
		want      string
		err       string
	}{
		"by the number of a port":            {all, "9090", 0, "pod-1 10.0.0.1:9090 ready, pod-2 10.0.0.2:9090, pod-4 10.0.0.4:9090 ready", ""},
		"by its name":                        {all, "metrics", 0, "pod-1 10.0.0.1:8080 ready, pod-2 10.0.0.2:8080, pod-4 10.0.0.4:8080 ready", ""},
		"by a name that is none":             {all, "stats", 0, "", "no port named stats"},
		"by a name that another Service has": {all, "stats", 7070, "pod-1 10.0.0.1:7070 ready, pod-2 10.0.0.2:7070, pod-4 10.0.0.4:7070 ready", ""},
		"endpoints that are no pods":         {[]discoveryv1.EndpointSlice{changed(nobodys, "5")}, "9090", 0, "", none},
		"one that is no pod, beside a pod":   {[]discoveryv1.EndpointSlice{changed(nobodys, "5", "1")}, "9090", 0, "pod-1 10.0.0.1:9090 ready", ""},
		"a pod of another namespace": {[]discoveryv1.EndpointSlice{changed(func(endpoint *discoveryv1.Endpoint) {
			endpoint.TargetRef.Namespace = "rival"
		}, "5")}, "9090", 0, "", none},
		"a pod of no namespace": {[]discoveryv1.EndpointSlice{changed(func(endpoint *discoveryv1.Endpoint) {
			endpoint.TargetRef.Namespace = ""
		}, "5")}, "9090", 0, "", none},
		"a node": {[]discoveryv1.EndpointSlice{changed(func(endpoint *discoveryv1.Endpoint) {
			endpoint.TargetRef.Kind = "Node"
		}, "5")}, "9090", 0, "", none},
		"one that is no pod and down": {[]discoveryv1.EndpointSlice{changed(nobodys, "5:down")}, "9090", 0, "", ""},
		"one that keeps the Service occupied": {[]discoveryv1.EndpointSlice{changed(func(endpoint *discoveryv1.Endpoint) {
			endpoint.TargetRef, endpoint.Addresses = nil, []string{"192.0.2.1"}
		}, "5")}, "9090", 0, "", ""},
		"none": {nil, "metrics", 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pods, err := PodsOf(c.slices, "shop", c.port, c.otherwise)
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatal(err)
			}
			var words []string
			for _, pod := range pods {
				word := pod.Name + " " + pod.Address.String()
				if pod.Ready {
					word += " ready"
				}
				words = append(words, word)
			}
			slices.Sort(words)
			if got := strings.Join(words, ", "); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
	if PortOf(all, "metrics") != 8080 || PortOf(all, "stats") != 0 {
		t.Error("the number of a port by its name")
	}
}
