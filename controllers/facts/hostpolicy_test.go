package facts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// ownedBy finds the owner of an address in a map.
func ownedBy(owners *map[string]string) func(context.Context, netip.Addr) (string, error) {
	return func(_ context.Context, ip netip.Addr) (string, error) { return (*owners)[ip.String()], nil }
}

func TestNamesOfTheClusterAreNoHosts(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{
		"payments.payments.svc.cluster.local": true, "payments.payments.svc.cluster.local.": true, "Payments.Payments.SVC.Cluster.Local": true,
		"payments.payments.svc": true, "payments": true, "10-0-0-1.payments.pod.cluster.local": true, "cluster.local": true,
		"payments.payments.svc.clusterset.local": true, "localhost": true, "a.localhost": true,
		"payments.payments.svc.example.com": false, "greeter.eu.example.com": false, "mycluster.local": false, "notlocalhost": true,
	} {
		if said := (HostPolicy{}).refuseName(name); (said != "") != refused {
			t.Errorf("%s: %q", name, said)
		}
	}
	domain := HostPolicy{ClusterDomain: "prod.example.com"}
	if domain.refuseName("payments.payments.svc.prod.example.com") == "" || domain.refuseName("greeter.eu.example.com") != "" {
		t.Error("another domain of the cluster")
	}
}

func TestAddressesOfTheClusterAreNoHosts(t *testing.T) {
	t.Parallel()
	owners := map[string]string{"10.96.0.10": "a Service", "10.244.0.5": "a Pod", "fd00::5": "a node"}
	policy := HostPolicy{Owner: ownedBy(&owners)}
	for address, want := range map[string]string{
		"127.0.0.1": "loopback", "::1": "loopback", "169.254.169.254": "link-local", "fe80::1%eth0": "link-local", "0.0.0.0": "loopback", "224.0.0.1": "multicast",
		"::ffff:127.0.0.1": "loopback", "100.100.100.200": "metadata service", "fd00:ec2::254": "metadata service",
		"10.96.0.10": "a Service of the cluster", "::ffff:10.96.0.10": "a Service of the cluster", "10.244.0.5": "a Pod of the cluster", "fd00::5": "a node of the cluster",
		"203.0.113.7": "", "10.1.2.3": "", "2001:db8::1": "",
	} {
		allowed, refused, err := policy.allowedOf(t.Context(), "x.example.com", []string{address})
		if err != nil || (want == "") != (refused == "") || !strings.Contains(refused, want) || (len(allowed) == 1) != (want == "") {
			t.Errorf("%s: %v, %q, %v", address, allowed, refused, err)
		}
	}
	allowed, refused, err := policy.allowedOf(t.Context(), "x.example.com", []string{"10.96.0.10", "203.0.113.7"})
	if err != nil || !slices.Equal(allowed, []string{"203.0.113.7"}) || !strings.Contains(refused, "10.96.0.10") {
		t.Errorf("one of two: %v, %q, %v", allowed, refused, err)
	}
}

func TestWhatCannotBeFoundOutIsNotAllowed(t *testing.T) {
	t.Parallel()
	policy := HostPolicy{Owner: func(context.Context, netip.Addr) (string, error) { return "", errors.New("nodes is forbidden") }}
	if allowed, _, err := policy.allowedOf(t.Context(), "x.example.com", []string{"203.0.113.7"}); err == nil || len(allowed) != 0 {
		t.Errorf("%v, %v", allowed, err)
	}
}

func TestPlatformsAllowHosts(t *testing.T) {
	t.Parallel()
	allowed, err := ParseAllowedHosts([]string{"legacy.old.svc.cluster.local", "*.db.svc.cluster.local", "10.96.0.0/12", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{"10.96.0.10": "a Service", "10.244.0.5": "a Pod"}
	policy := HostPolicy{Allowed: allowed, Owner: ownedBy(&owners)}
	for name, want := range map[string]bool{
		"Legacy.old.svc.cluster.local.": true, "a.db.svc.cluster.local": true, "other.old.svc.cluster.local": false, "db.svc.cluster.local": false,
	} {
		if said := policy.refuseName(name); (said == "") != want {
			t.Errorf("%s: %q", name, said)
		}
	}
	for address, want := range map[string]bool{"10.96.0.10": true, "127.0.0.1": true, "127.0.0.2": false, "10.244.0.5": false} {
		if got, _, err := policy.allowedOf(t.Context(), "x.example.com", []string{address}); err != nil || (len(got) == 1) != want {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
	if got, _, err := policy.allowedOf(t.Context(), "a.db.svc.cluster.local", []string{"10.244.0.5"}); err != nil || len(got) != 1 {
		t.Errorf("the addresses of a name that is allowed: %v, %v", got, err)
	}
	for _, wrong := range []string{"*", "*.*.com", "http://a.example.com", "a.example.com:80", ".example.com"} {
		if _, err := ParseAllowedHosts([]string{wrong}); err == nil || !strings.Contains(err.Error(), "such as") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
