package loadbalancer

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
)

var pool = netip.MustParsePrefix("10.97.0.0/29") // gives .1 to .6

func TestDecide(t *testing.T) {
	class := "other"
	for name, test := range map[string]struct {
		last     string
		services []service
		want     []string // "step name address" for each change
		full     bool
	}{
		"a new service is prepared with the first free address": {
			services: []service{balanced("a", "10.97.0.1"), balanced("b", ""), balanced("c", "10.97.0.3")},
			want:     []string{"prepare b 10.97.0.2"},
		},
		"several new services get different ones": {
			services: []service{balanced("a", ""), balanced("b", "")},
			want:     []string{"prepare a 10.97.0.1", "prepare b 10.97.0.2"},
		},
		"what is prepared is published": {
			services: []service{withExternal(balanced("a", ""), "10.97.0.1")},
			want:     []string{"publish a 10.97.0.1"},
		},
		"what is published is prepared no longer": {
			services: []service{withExternal(balanced("a", "10.97.0.1"), "10.97.0.1")},
			want:     []string{"clean a -"},
		},
		"what is prepared is taken": {
			services: []service{balanced("a", ""), withExternal(balanced("b", ""), "10.97.0.1")},
			want:     []string{"publish b 10.97.0.1", "prepare a 10.97.0.2"},
		},
		"an address that another one has is not published": {
			services: []service{withExternal(balanced("a", ""), "10.97.0.1"), balanced("b", "10.97.0.1")},
			want:     []string{"prepare a 10.97.0.2"},
		},
		"who has one keeps it": {
			services: []service{balanced("a", "10.97.0.5")},
		},
		"an address is given once": {
			services: []service{balanced("a", "10.97.0.1"), balanced("b", "10.97.0.1")},
			want:     []string{"prepare b 10.97.0.2"},
		},
		"an address of another range does not count": {
			services: []service{withExternal(balanced("a", "192.0.2.1"), "192.0.2.2")},
			want:     []string{"prepare a 10.97.0.1"},
		},
		"an address that has just come free is given last": {
			last:     "10.97.0.2",
			services: []service{balanced("a", "10.97.0.3"), balanced("b", "")},
			want:     []string{"prepare b 10.97.0.4"},
		},
		"after the last address comes the first": {
			last:     "10.97.0.6",
			services: []service{balanced("a", "10.97.0.1"), balanced("b", "")},
			want:     []string{"prepare b 10.97.0.2"},
		},
		"a service of another type gives its address back": {
			services: []service{typed("a", "ClusterIP", "10.97.0.1"), balanced("b", "")},
			want:     []string{"withdraw a -", "prepare b 10.97.0.1"},
		},
		"a service that changes its type while it is prepared gives the address back": {
			services: []service{withExternal(typed("a", "ClusterIP", ""), "10.97.0.1")},
			want:     []string{"clean a -"},
		},
		"another type without an address is left alone": {
			services: []service{withExternal(typed("a", "ClusterIP", ""), "192.0.2.1")},
		},
		"another class of load balancer is left alone": {
			services: []service{withClass(balanced("a", ""), &class)},
		},
		"when all are taken the rest waits": {
			services: []service{balanced("a", ""), balanced("b", ""), balanced("c", ""), balanced("d", ""), balanced("e", ""), balanced("f", ""), balanced("g", "")},
			want: []string{
				"prepare a 10.97.0.1", "prepare b 10.97.0.2", "prepare c 10.97.0.3", "prepare d 10.97.0.4", "prepare e 10.97.0.5", "prepare f 10.97.0.6",
			},
			full: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			services := map[string]service{}
			for _, s := range test.services {
				services[s.key()] = s
			}
			var last netip.Addr
			if test.last != "" {
				last = netip.MustParseAddr(test.last)
			}
			changes, err := decide(pool, last, services)
			var got []string
			for _, c := range changes {
				address := "-"
				if c.address.IsValid() {
					address = c.address.String()
				}
				got = append(got, string(c.kind)+" "+c.service.Metadata.Name+" "+address)
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

func TestPatchKeepsAddressesThatAreNotOurs(t *testing.T) {
	s := withExternal(balanced("a", ""), "192.0.2.1", "10.97.0.1")
	for kind, want := range map[kind]string{
		prepare: `/api/v1/namespaces/test/services/a {"spec":{"externalIPs":["192.0.2.1","10.97.0.2"]}}`,
		clean:   `/api/v1/namespaces/test/services/a {"spec":{"externalIPs":["192.0.2.1"]}}`,
		publish: `/api/v1/namespaces/test/services/a/status {"status":{"loadBalancer":{"ingress":[{"ip":"10.97.0.2"}]}}}`,
		// A merge patch removes what is null.
		withdraw: `/api/v1/namespaces/test/services/a/status {"status":{"loadBalancer":{"ingress":null}}}`,
	} {
		path, content := change{s, kind, netip.MustParseAddr("10.97.0.2")}.patch(pool)
		text, err := json.Marshal(content)
		if got := path + " " + string(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", kind, got, err, want)
		}
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

func withExternal(s service, addresses ...string) service {
	s.Spec.ExternalIPs = addresses
	return s
}
