package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// oneBackend is an ExposedService with one backend, whose Service has port 80 among others.
func oneBackend() *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: "greeter", Namespace: "shop"}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("class")}
	exs.Spec.Backends = []v1alpha1.Backend{{Name: "primary", Service: &v1alpha1.ServiceBackend{Name: "greeter", Port: 80}}}
	return exs
}

// ports reads "name:port:target", where the target is a number, a name, or nothing.
func ports(words ...string) []corev1.ServicePort {
	var out []corev1.ServicePort
	for _, word := range words {
		part := strings.Split(word, ":")
		port := corev1.ServicePort{Name: part[0], Port: intstr.Parse(part[1]).IntVal, Protocol: corev1.ProtocolTCP}
		if part[2] != "" {
			port.TargetPort = intstr.Parse(part[2])
		}
		out = append(out, port)
	}
	return out
}

// sliceWith is an EndpointSlice with two ready endpoints, and ports "name:number".
func sliceWith(name string, words ...string) discoveryv1.EndpointSlice {
	out := slice(name, "", 2)
	out.Ports = nil
	for _, word := range words {
		port, number, _ := strings.Cut(word, ":")
		protocol := corev1.ProtocolTCP
		if strings.HasSuffix(number, "/UDP") {
			number, protocol = strings.TrimSuffix(number, "/UDP"), corev1.ProtocolUDP
		}
		out.Ports = append(out.Ports, discoveryv1.EndpointPort{
			Name: ptr.To(port), Port: ptr.To(intstr.Parse(number).IntVal), Protocol: &protocol,
		})
	}
	return out
}

// TestARenamedPortIsTheSamePort: the Service has its new ports, and its EndpointSlices those of before or after.
func TestARenamedPortIsTheSamePort(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ports []corev1.ServicePort
		slice discoveryv1.EndpointSlice
		own   []discoveryv1.EndpointSlice
		// want is the number of the port; 0: the slice does not have it.
		want int32
	}{
		"the same name":                          {ports: ports("grpc:80:9090"), slice: sliceWith("s", "grpc:9090"), want: 9090},
		"renamed":                                {ports: ports("grpc:80:9090"), slice: sliceWith("s", "main:9090"), want: 9090},
		"named for the first time":               {ports: ports("grpc:80:9090"), slice: sliceWith("s", ":9090"), want: 9090},
		"named, and joined by another":           {ports: ports("grpc:80:grpc", "metrics:81:http"), slice: sliceWith("s", ":9090"), want: 9090},
		"joined by another":                      {ports: ports("grpc:80:grpc", "metrics:81:http"), slice: sliceWith("s", "grpc:9090"), want: 9090},
		"the other one is gone, and so the name": {ports: ports(":80:grpc"), slice: sliceWith("s", "metrics:8080", "grpc:9090"), want: 9090},
		"the same by number":                     {ports: ports(":80:9090"), slice: sliceWith("s", "metrics:8080", "main:9090"), want: 9090},
		"the same by the Service's own number":   {ports: ports(":80:x"), slice: sliceWith("s", "metrics:8080", "main:80"), want: 80},
		"the same by our own slices": {
			ports: ports(":80:x"), slice: sliceWith("s", "metrics:8080", "main:9090"),
			own: []discoveryv1.EndpointSlice{sliceWith("greeter-primary-gw", "grpc:9090")}, want: 9090,
		},
		"nothing tells: the first":          {ports: ports(":80:x"), slice: sliceWith("s", "main:9090", "metrics:8080"), want: 9090},
		"a port that is another's":          {ports: ports("grpc:80:9090", "metrics:81:8080"), slice: sliceWith("s", "metrics:8080")},
		"a port of another protocol":        {ports: ports("grpc:80:9090"), slice: sliceWith("s", "main:9090/UDP")},
		"another name has the target":       {ports: ports("grpc:80:9090", "main:81:7070"), slice: sliceWith("s", "main:9090", "grpc:7070"), want: 9090},
		"the name, where the target is new": {ports: ports("grpc:80:9090"), slice: sliceWith("s", "grpc:7070", "main:8080"), want: 7070},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs := oneBackend()
			facts := gateway.Facts{Backends: map[string]gateway.BackendFacts{"primary": {
				Service:   &corev1.Service{Spec: corev1.ServiceSpec{Ports: c.ports, Selector: map[string]string{"app": "a"}}},
				Slices:    []discoveryv1.EndpointSlice{c.slice},
				OwnSlices: c.own,
			}}}
			resolved := gateway.Resolve(exs, facts)
			status, seen := resolved.Count()[0], resolved.Slices()["primary"]
			if c.want == 0 {
				if *status.Total != 0 || len(seen.Slices) != 0 {
					t.Errorf("counted %d of %d endpoints, want none", *status.Ready, *status.Total)
				}
				return
			}
			if *status.Ready != 2 || *status.Total != 2 || len(seen.Slices) != 1 {
				t.Fatalf("counted %d of %d endpoints, want 2 of 2", *status.Ready, *status.Total)
			}
			for _, port := range seen.Slices[0].Ports {
				if *port.Name == seen.Port && *port.Port == c.want {
					return
				}
			}
			t.Errorf("ports %+v, want %q with number %d", seen.Slices[0].Ports, seen.Port, c.want)
		})
	}
}

// TestNoRenamingIsAnOutage: a Service's ports change their names, and there are more or fewer others. As long as the
// port of the backend is there, so are its endpoints, whichever of its slices have followed already.
func TestNoRenamingIsAnOutage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.SampledFrom([]string{"9090", "grpc"}).Draw(t, "target")
		before, after := somePorts(t, "before", target), somePorts(t, "after", target)
		var endpointSlices []discoveryv1.EndpointSlice
		for i, followed := range rapid.SliceOfN(rapid.Bool(), 1, 4).Draw(t, "followed") {
			have := before
			if followed {
				have = after
			}
			one := slice(fmt.Sprintf("greeter-%d", i), "", 1)
			one.Endpoints[0].Addresses[0] = fmt.Sprintf("10.244.9.%d", i+1)
			one.Ports = nil
			for _, port := range have {
				number := port.TargetPort.IntVal
				if port.TargetPort.Type == intstr.String {
					number = 9090
				}
				one.Ports = append(one.Ports, discoveryv1.EndpointPort{Name: ptr.To(port.Name), Port: ptr.To(number)})
			}
			endpointSlices = append(endpointSlices, one)
		}
		facts := gateway.Facts{Backends: map[string]gateway.BackendFacts{"primary": {
			Service: &corev1.Service{Spec: corev1.ServiceSpec{Ports: after, Selector: map[string]string{"app": "a"}}},
			Slices:  endpointSlices,
		}}}
		resolved := gateway.Resolve(oneBackend(), facts)
		if status := resolved.Count()[0]; int(*status.Ready) != len(endpointSlices) {
			t.Fatalf("%d of %d endpoints: ports %v were %v", *status.Ready, len(endpointSlices), names(after), names(before))
		}
		seen := resolved.Slices()["primary"]
		for _, slice := range seen.Slices {
			i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool { return *p.Name == seen.Port })
			if i < 0 || *slice.Ports[i].Port != 9090 {
				t.Fatalf("ports %v were %v: slice has %+v, want %q with 9090", names(after), names(before), slice.Ports, seen.Port)
			}
		}
	})
}

// somePorts are the port of the backend and up to two others. Where its target is a name, none of them has it but its own.
// One port alone may be without a name.
func somePorts(t *rapid.T, when, target string) []corev1.ServicePort {
	if rapid.Bool().Draw(t, when+" alone") {
		return ports(rapid.SampledFrom([]string{"", "grpc", "main"}).Draw(t, when+" name") + ":80:" + target)
	}
	called := []string{"grpc", "metrics", "admin"}
	if target != "grpc" { // Where the target is a name, nothing tells ports apart that have exchanged theirs.
		called = rapid.Permutation(called).Draw(t, when+" names")
	}
	words := []string{called[0] + ":80:" + target, called[1] + ":81:8080", called[2] + ":82:7070"}
	return ports(words[:rapid.IntRange(1, 3).Draw(t, when+" ports")]...)
}

func names(list []corev1.ServicePort) []string {
	var out []string
	for _, port := range list {
		out = append(out, port.Name)
	}
	return out
}

// TestReadyIsWhatThePodSays: with publishNotReadyAddresses the cluster calls every endpoint ready, also that of a pod
// which is not, or which is going away.
func TestReadyIsWhatThePodSays(t *testing.T) {
	t.Parallel()
	yes, no := ptr.To(true), ptr.To(false)
	for name, c := range map[string]struct {
		says    discoveryv1.EndpointConditions
		publish bool
		// own is what our own Service's slices say.
		own  *bool
		want int32
	}{
		"ready":                      {says: discoveryv1.EndpointConditions{Ready: yes, Serving: yes, Terminating: no}, publish: true, want: 1},
		"not ready":                  {says: discoveryv1.EndpointConditions{Ready: yes, Serving: no, Terminating: no}, publish: true},
		"not ready, seen before":     {says: discoveryv1.EndpointConditions{Ready: yes, Serving: no, Terminating: no}},
		"going away":                 {says: discoveryv1.EndpointConditions{Ready: yes, Serving: yes, Terminating: yes}, publish: true},
		"nothing is said":            {want: 1},
		"only ready is said":         {says: discoveryv1.EndpointConditions{Ready: yes}, publish: true, want: 1},
		"our own slices know better": {says: discoveryv1.EndpointConditions{Ready: yes}, publish: true, own: no},
		"our own slices agree":       {says: discoveryv1.EndpointConditions{Ready: yes}, publish: true, own: yes, want: 1},
		"our own slices lag behind":  {says: discoveryv1.EndpointConditions{Ready: yes}, own: no, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := gateway.BackendFacts{
				Service: &corev1.Service{Spec: corev1.ServiceSpec{
					Ports: ports("grpc:80:9090"), Selector: map[string]string{"app": "a"}, PublishNotReadyAddresses: c.publish,
				}},
				Slices: []discoveryv1.EndpointSlice{sliceWith("greeter", "grpc:9090")},
			}
			facts.Slices[0].Endpoints = facts.Slices[0].Endpoints[:1]
			facts.Slices[0].Endpoints[0].Conditions = c.says
			if c.own != nil {
				facts.OwnSlices = []discoveryv1.EndpointSlice{sliceWith("greeter-primary-gw", "grpc:9090")}
				facts.OwnSlices[0].Endpoints[0].Conditions.Ready = c.own
			}
			resolved := gateway.Resolve(oneBackend(), gateway.Facts{Backends: map[string]gateway.BackendFacts{"primary": facts}})
			if status := resolved.Count()[0]; *status.Ready != c.want || *status.Total != 1 {
				t.Errorf("counted %d of %d, want %d of 1", *status.Ready, *status.Total, c.want)
			}
			seen := resolved.Slices()["primary"].Slices[0].Endpoints[0].Conditions
			if ptr.Deref(seen.Ready, true) != (c.want == 1) {
				t.Errorf("others see it as ready: %v, want %v", seen.Ready, c.want == 1)
			}
			if facts.Slices[0].Endpoints[0].Conditions.Ready != c.says.Ready {
				t.Error("the facts were changed")
			}
		})
	}
}
