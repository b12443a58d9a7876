package resource_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/resource"
)

// claimant is an ExposedService that was made a number of minutes after the others began.
func claimant(namespace, name string, minute int, port v1alpha1.PortNumber, hosts ...v1alpha1.Hostname) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(time.Duration(minute) * time.Minute))},
		Spec:       v1alpha1.ExposedServiceSpec{XDS: &v1alpha1.XDS{}, Hostnames: hosts},
	}
	if port != 0 {
		exs.Spec.XDS.Port = ptr.To(port)
	}
	return exs
}

// having is a claimant that has hosts by its status.
func having(exs *v1alpha1.ExposedService, hosts ...string) *v1alpha1.ExposedService {
	exs.Status.XDS = &v1alpha1.XDSStatus{Hosts: hosts, Port: ptr.Deref(exs.Spec.XDS.Port, 0)}
	return exs
}

func TestWhoHasAHost(t *testing.T) {
	const host, wild = "greeter.example.com", "*.example.com"
	for name, c := range map[string]struct {
		services []*v1alpha1.ExposedService
		lost     map[string][]string
	}{
		"one of another namespace asks for it": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 0, host), host), claimant("evil", "parked", 1, 0, host)}, nil,
		},
		"an older one asks for what another has": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 0, host), host), claimant("shop", "parked", 1, 0, host, "mine.example.com")},
			map[string][]string{"shop/parked": {host}},
		},
		"nobody has it": {
			[]*v1alpha1.ExposedService{claimant("shop", "greeter", 5, 0, host), claimant("shop", "parked", 1, 0, host)},
			map[string][]string{"shop/greeter": {host}},
		},
		"who had it does not ask for it any more": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 1, 0), host), claimant("shop", "parked", 5, 0, host)}, nil,
		},
		"both have it, after two leaders": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 0, host), host), having(claimant("shop", "parked", 1, 0, host), host)},
			map[string][]string{"shop/greeter": {host}},
		},
		"the own name of another": {
			[]*v1alpha1.ExposedService{claimant("shop", "greeter", 5, 0), having(claimant("shop", "parked", 1, 0, "greeter.shop"), "greeter.shop")},
			map[string][]string{"shop/parked": {"greeter.shop"}},
		},
		"a wildcard on one port": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 9090, wild), wild), claimant("shop", "parked", 1, 9090, wild, host)},
			map[string][]string{"shop/parked": {wild}},
		},
		"a wildcard on two ports": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 9090, wild), wild), claimant("shop", "parked", 1, 9091, wild)}, nil,
		},
		"it had the wildcard on another port": {
			[]*v1alpha1.ExposedService{
				{ObjectMeta: claimant("shop", "greeter", 5, 0).ObjectMeta, Spec: claimant("shop", "greeter", 5, 9091, wild).Spec, Status: having(claimant("shop", "greeter", 5, 9090, wild), wild).Status},
				claimant("shop", "parked", 1, 9091, wild),
			},
			map[string][]string{"shop/greeter": {wild}},
		},
		"every other host of a port": {
			[]*v1alpha1.ExposedService{having(claimant("shop", "greeter", 5, 9090), "*"), claimant("shop", "parked", 1, 9090)},
			map[string][]string{"shop/parked": {"*"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				got := resource.Conflicts(c.services)
				if len(got) != len(c.lost) {
					t.Errorf("lost: %+v, want %v", got, c.lost)
				}
				for key, hosts := range c.lost {
					namespace, name, _ := strings.Cut(key, "/")
					lost := got[types.NamespacedName{Namespace: namespace, Name: name}]
					if !slices.Equal(lost.Hosts, hosts) || !lost.Problem.Partial || lost.Problem.Reason != v1alpha1.ReasonRouteConflict {
						t.Errorf("%s lost %+v, want %v", key, lost, hosts)
					}
				}
				slices.Reverse(c.services)
			}
		})
	}
}

// TestAHostOfAnotherNamespaceTakesNothingAway builds what is served before and after another namespace, and one beside it, ask for the host.
func TestAHostOfAnotherNamespaceTakesNothingAway(t *testing.T) {
	const host = "greeter.example.com"
	greeter := resource.Exposure{Service: having(claimant("shop", "greeter", 5, 9090, host), host)}
	greeter.Service.Spec.Backends = []v1alpha1.Backend{{Name: "primary"}}
	of := func(exposures ...resource.Exposure) []string {
		var out []string
		for _, r := range resource.Build(exposures).Resources {
			if slices.Contains(r.Owners, types.NamespacedName{Namespace: "shop", Name: "greeter"}) {
				out = append(out, r.TypeURL()+" "+r.Name)
			}
		}
		return out
	}
	before := of(greeter)
	others := []resource.Exposure{greeter}
	for _, exs := range []*v1alpha1.ExposedService{claimant("evil", "parked", 1, 9090, host), claimant("shop", "parked", 1, 9090, host)} {
		exs.Spec.Backends = greeter.Service.Spec.Backends
		others = append(others, resource.Exposure{Service: exs})
	}
	if after := of(others...); !slices.Equal(before, after) || len(before) != 9 {
		t.Errorf("before: %q\nafter: %q", before, after)
	}
}
