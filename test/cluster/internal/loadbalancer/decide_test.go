package loadbalancer

import (
	"net/netip"
	"slices"
	"testing"
)

var pool = netip.MustParsePrefix("10.97.0.0/29") // gives .1 to .6

func TestDecide(t *testing.T) {
	class := "other"
	for name, test := range map[string]struct {
		services []service
		want     []string // "name address" for each change
		full     bool
	}{
		"a new service gets the lowest free address": {
			services: []service{balanced("a", "10.97.0.1"), balanced("b", ""), balanced("c", "10.97.0.3")},
			want:     []string{"b 10.97.0.2"},
		},
		"several new services get different ones": {
			services: []service{balanced("a", ""), balanced("b", "")},
			want:     []string{"a 10.97.0.1", "b 10.97.0.2"},
		},
		"who has one keeps it": {
			services: []service{balanced("a", "10.97.0.5")},
		},
		"an address is given once": {
			services: []service{balanced("a", "10.97.0.1"), balanced("b", "10.97.0.1")},
			want:     []string{"b 10.97.0.2"},
		},
		"an address of another range does not count": {
			services: []service{balanced("a", "192.0.2.1")},
			want:     []string{"a 10.97.0.1"},
		},
		"a service of another type gives its address back": {
			services: []service{typed("a", "ClusterIP", "10.97.0.1"), balanced("b", "")},
			want:     []string{"a -", "b 10.97.0.1"},
		},
		"another type without an address is left alone": {
			services: []service{typed("a", "ClusterIP", "")},
		},
		"another class of load balancer is left alone": {
			services: []service{withClass(balanced("a", ""), &class)},
		},
		"when all are taken the rest waits": {
			services: []service{balanced("a", ""), balanced("b", ""), balanced("c", ""), balanced("d", ""), balanced("e", ""), balanced("f", ""), balanced("g", "")},
			want:     []string{"a 10.97.0.1", "b 10.97.0.2", "c 10.97.0.3", "d 10.97.0.4", "e 10.97.0.5", "f 10.97.0.6"},
			full:     true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			services := map[string]service{}
			for _, s := range test.services {
				services[s.key()] = s
			}
			changes, err := decide(pool, services)
			var got []string
			for _, c := range changes {
				address := "-"
				if len(c.addresses) > 0 {
					address = c.addresses[0].IP
				}
				got = append(got, c.service.Metadata.Name+" "+address)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if (err != nil) != test.full {
				t.Errorf("got error %v, want one: %v", err, test.full)
			}
		})
	}
}

func balanced(name, address string) service { return typed(name, "LoadBalancer", address) }

func typed(name, kind, address string) service {
	var s service
	s.Metadata.Namespace, s.Metadata.Name, s.Spec.Type = "test", name, kind
	if address != "" {
		s.Status.LoadBalancer.Ingress = []ingress{{IP: address}}
	}
	return s
}

func withClass(s service, class *string) service {
	s.Spec.LoadBalancerClass = class
	return s
}
