package packaging

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func block(cidr string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}
}

func podsOf(namespace, label, value string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{label: value}},
	}
}

func portsOf(protocols []corev1.Protocol, ports ...int32) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, port := range ports {
		for _, protocol := range protocols {
			out = append(out, networkingv1.NetworkPolicyPort{Port: ptr.To(intstr.FromInt32(port)), Protocol: ptr.To(protocol)})
		}
	}
	return out
}

// The author of an ExposedService chooses where Headgate sends requests to. The policy is what keeps them in.
func TestTheNetworkPolicyLetsOutNoFurtherThanAsked(t *testing.T) {
	dns, tcp := []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP}, []corev1.Protocol{corev1.ProtocolTCP}
	usual := []networkingv1.NetworkPolicyPeer{podsOf("kube-system", "k8s-app", "kube-dns"), block("169.254.20.10/32")}
	for name, test := range map[string]struct {
		set  string
		want []networkingv1.NetworkPolicyEgressRule
	}{
		"by default": {"{}", []networkingv1.NetworkPolicyEgressRule{
			{Ports: portsOf(dns, 53), To: usual}, {Ports: portsOf(tcp, 443, 6443)},
		}},
		"the API server has addresses": {
			`{"apiServerCIDRs":["10.96.0.1/32","fd00::1/128"],"apiServerPorts":[6443]}`,
			[]networkingv1.NetworkPolicyEgressRule{
				{Ports: portsOf(dns, 53), To: usual},
				{Ports: portsOf(tcp, 6443), To: []networkingv1.NetworkPolicyPeer{block("10.96.0.1/32"), block("fd00::1/128")}},
			},
		},
		"DNS is that of OpenShift": {
			`{"dns":{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"openshift-dns"}},` +
				`"podSelector":{"matchLabels":{"dns.operator.openshift.io/daemonset-dns":"default"}}}],"ports":[5353]}}`,
			[]networkingv1.NetworkPolicyEgressRule{
				{Ports: portsOf(dns, 5353), To: []networkingv1.NetworkPolicyPeer{podsOf("openshift-dns", "dns.operator.openshift.io/daemonset-dns", "default")}},
				{Ports: portsOf(tcp, 443, 6443)},
			},
		},
		"DNS may be anywhere": {`{"dns":{"to":[]}}`, []networkingv1.NetworkPolicyEgressRule{
			{Ports: portsOf(dns, 53)}, {Ports: portsOf(tcp, 443, 6443)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			policy := convert[networkingv1.NetworkPolicy](t, render(t, "--set-json", "networkPolicy="+test.set).get(t, "NetworkPolicy headgate"))
			if diff := cmp.Diff(test.want, policy.Spec.Egress[:2]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(policy.Spec.Egress) != 3 { // and the proxies
				t.Errorf("there are %d rules", len(policy.Spec.Egress))
			}
		})
	}
}
