package scene

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// LetHeadgateOut lets Headgate reach the pods of a namespace: the chart's own NetworkPolicy lets it out to the API server and the
// proxies only. The namespace owns what is made for it.
func (c *Cluster) LetHeadgateOut(ctx context.Context, namespace string) error {
	var owner corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: namespace}, &owner); err != nil {
		return err
	}
	return c.Put(ctx, wayOut(metav1.ObjectMeta{
		Namespace: HeadgateNamespace, Name: "out-to-" + namespace,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: owner.Name, UID: owner.UID}},
	}, namespace))
}

// wayOut is a NetworkPolicy that lets Headgate out to all pods of a namespace.
func wayOut(meta metav1.ObjectMeta, namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: headgateLabels},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		}}}},
	}}
}
