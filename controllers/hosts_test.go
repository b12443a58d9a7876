package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/test/apiserver"
)

// byName answers each host with its own addresses.
type byName map[string][]string

// LookupHost implements facts.Resolver.
func (b byName) LookupHost(_ context.Context, host string) ([]string, error) {
	if found := b[strings.TrimSuffix(host, ".")]; len(found) > 0 {
		return found, nil
	}
	return nil, errors.New("no such host")
}

// TestAHostIsNoWayIntoTheCluster has hosts that lead to a Service and Pods of another namespace, to a node, and to the operator itself.
func TestAHostIsNoWayIntoTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	victim := apiserver.Namespace(t, w.kube)
	service := w.service("payments")
	service.Namespace = victim
	selected, alone := w.pod("selected", "payments", nil), w.pod("alone", "alone", nil)
	selected.Namespace, alone.Namespace = victim, victim
	w.create(service, selected, alone)
	alone.Status.PodIP, alone.Status.PodIPs = "10.77.0.2", []corev1.PodIP{{IP: "10.77.0.2"}}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-of-" + w.namespace}, Spec: corev1.NodeSpec{PodCIDR: "10.78.0.0/24", PodCIDRs: []string{"10.78.0.0/24"}},
	}
	w.create(node)
	w.t.Cleanup(func() { _ = w.kube.Delete(context.Background(), node) })
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.79.0.1"}}
	for _, object := range []client.Object{alone, node} {
		if err := w.kube.Status().Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	slice := w.slice("payments", "10.77.0.1")
	slice.Namespace = victim
	slice.Endpoints[0] = endpointOf(selected, "10.77.0.1")
	w.create(slice)

	// It is in a namespace that the operator does not watch.
	elsewhere := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}}
	if err := w.read(elsewhere); err != nil {
		t.Fatal(err)
	}

	resolver := byName{
		"far.example.com": {"203.0.113.7"}, "both.example.com": {"203.0.113.8", service.Spec.ClusterIP}, "allowed.example.com": {"10.77.0.1"},
	}
	refused := map[string]struct {
		address string
		words   string
	}{
		"service.example.com":                       {service.Spec.ClusterIP, "the address of a Service"},
		"elsewhere.example.com":                     {elsewhere.Spec.ClusterIP, "the address of a Service"},
		"pod.example.com":                           {"10.77.0.1", "the address of a Pod"},
		"lonely-pod.example.com":                    {"10.77.0.2", "the address of a Pod"},
		"range.example.com":                         {"10.78.0.9", "the address of a Pod"},
		"node.example.com":                          {"10.79.0.1", "the address of a node"},
		"self.example.com":                          {"127.0.0.1", "a loopback"},
		"metadata.example.com":                      {"169.254.169.254", "link-local"},
		"payments." + victim + ".svc.cluster.local": {service.Spec.ClusterIP, "a name of the cluster itself"},
		"payments." + victim + ".svc":               {service.Spec.ClusterIP, "a name of the cluster itself"},
	}
	for name, c := range refused {
		resolver[name] = []string{c.address}
	}
	w.startOperator(alsoIn(victim), func(config *Config, _ *transport) {
		config.Resolver = resolver
		config.Hosts = facts.HostPolicy{Allowed: facts.AllowedHosts{Names: []string{"allowed.example.com"}}}
	})

	of := func(name, host string) *v1alpha1.ExposedService {
		exs := w.exposedService(name)
		exs.Spec.Backends[1] = v1alpha1.Backend{Name: "backup", FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(host), Port: 50051}}
		w.create(exs)
		return exs
	}
	i := 0
	for host, c := range refused {
		i++
		exs := of(fmt.Sprintf("refused-%d", i), host)
		w.eventually(host+" is refused", func() error {
			return w.conditionIs(exs, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted, host, c.words)
		})
		if found := w.addressesGiven(exs); len(found) > 0 {
			t.Errorf("%s: Envoy is given %v", host, found)
		}
	}
	for host, want := range map[string][]string{
		"far.example.com": {"203.0.113.7"}, "both.example.com": {"203.0.113.8"}, "allowed.example.com": {"10.77.0.1"},
	} {
		i++
		exs := of(fmt.Sprintf("allowed-%d", i), host)
		w.eventually(host+" is called", func() error {
			if found := w.addressesGiven(exs); !slices.Equal(found, want) {
				return fmt.Errorf("Envoy is given %v, want %v", found, want)
			}
			return nil
		})
	}
}

// addressesGiven are the IP addresses in the Backends of an ExposedService, each once.
func (w *world) addressesGiven(exs *v1alpha1.ExposedService) []string {
	w.t.Helper()
	var list egv1a1.BackendList
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(exs.Namespace), client.MatchingLabels{v1alpha1.LabelOwnerName: exs.Name}); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, backend := range list.Items {
		for _, endpoint := range backend.Spec.Endpoints {
			switch {
			case endpoint.FQDN != nil:
				out = append(out, endpoint.FQDN.Hostname)
			case endpoint.IP != nil:
				out = append(out, endpoint.IP.Address)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
