package gateway

import (
	"fmt"
	"slices"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// zonesFrom says which policy makes the proxies prefer or weigh zones; empty: none does.
//
// Envoy Gateway then makes a cluster of each backend (NeedsClusterPerSetting of its ir package), and the fallback, which is
// to be priority 1 of the one cluster, would get its share of the calls beside it. A merge of policies cannot take a field
// away that the platform's has: there is no value of zoneAware that means none.
func (e *expansion) zonesFrom() string {
	if !e.shape.oneCluster || !e.shape.envoyGateway {
		return ""
	}
	own := e.overridden(e.policy())
	switch {
	case isZoneAware(own.Spec.LoadBalancer):
		return "an override of kind BackendTrafficPolicy"
	case own.Spec.MergeType == nil:
		return ""
	}
	for _, parent := range e.parents() {
		if isZoneAware(parent.Spec.LoadBalancer) {
			return fmt.Sprintf("BackendTrafficPolicy %s/%s of the Gateway", parent.Namespace, parent.Name)
		}
	}
	return ""
}

func isZoneAware(spec *egv1a1.LoadBalancer) bool {
	return spec != nil && spec.ZoneAware != nil && (spec.ZoneAware.PreferLocal != nil || len(spec.ZoneAware.WeightedZones) > 0)
}

// overridden is the policy with the overrides of its kind that can be merged.
func (e *expansion) overridden(policy *egv1a1.BackendTrafficPolicy) *egv1a1.BackendTrafficPolicy {
	for _, override := range e.exs.Spec.Overrides {
		if override.Kind != v1alpha1.OverrideBackendTrafficPolicy || !slices.Contains(e.facts.Platform.Overrides, override.Kind) {
			continue
		}
		if merged, err := merge(policy, override); err == nil {
			policy, _ = merged.(*egv1a1.BackendTrafficPolicy)
		}
	}
	return policy
}

// parents are the policies that Envoy Gateway merges ours with: for each listener that the route is on the one for the
// listener, otherwise that for the Gateway; of several for the same the oldest.
func (e *expansion) parents() []egv1a1.BackendTrafficPolicy {
	ofGateway := e.oldestFor("")
	var out []egv1a1.BackendTrafficPolicy
	for _, listener := range e.listenerNames() {
		if own := e.oldestFor(listener); own != nil {
			out = append(out, *own)
		} else if ofGateway != nil {
			out = append(out, *ofGateway)
		}
	}
	return out
}

// listenerNames are those of the listeners that the route is on.
func (e *expansion) listenerNames() []string {
	switch parent := e.exs.Spec.Gateway.ParentRef; {
	case Owned(e.exs):
		return []string{ListenerName}
	case parent.SectionName != nil:
		return []string{*parent.SectionName}
	}
	var out []string
	for _, listener := range e.facts.Gateway.Spec.Listeners {
		out = append(out, string(listener.Name))
	}
	return out
}

// oldestFor is the policy for a listener of the Gateway; an empty name: for the Gateway as a whole.
func (e *expansion) oldestFor(listener string) *egv1a1.BackendTrafficPolicy {
	var oldest *egv1a1.BackendTrafficPolicy
	for i := range e.facts.GatewayPolicies {
		policy := &e.facts.GatewayPolicies[i]
		if policy.Namespace == e.out.Gateway.Namespace && e.isFor(&policy.Spec.PolicyTargetReferences, listener) &&
			(oldest == nil || isOlder(policy, oldest)) {
			oldest = policy
		}
	}
	return oldest
}

func isOlder(a, b metav1.Object) bool {
	created, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !created.Equal(&other) {
		return created.Before(&other)
	}
	return a.GetName() < b.GetName()
}

func (e *expansion) isFor(targets *egv1a1.PolicyTargetReferences, listener string) bool {
	refs := slices.Clone(targets.TargetRefs)
	if old := targets.TargetRef; old != nil { //nolint:staticcheck // people still write it, and Envoy Gateway reads it
		refs = append(refs, *old)
	}
	for _, ref := range refs {
		if ref.Group == gwapiv1.GroupName && ref.Kind == KindGateway && string(ref.Name) == e.out.Gateway.Name &&
			string(ptr.Deref(ref.SectionName, "")) == listener {
			return true
		}
	}
	return listener == "" && slices.ContainsFunc(targets.TargetSelectors, e.selects)
}

// selects says whether a selector finds the Gateway by its labels. One that cannot be read finds nothing.
func (e *expansion) selects(selector egv1a1.TargetSelector) bool {
	if string(ptr.Deref(selector.Group, gwapiv1.GroupName)) != gwapiv1.GroupName || selector.Kind != KindGateway {
		return false
	}
	has := e.labels("")
	if e.facts.Gateway != nil {
		has = e.facts.Gateway.Labels
	}
	parsed, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: selector.MatchLabels, MatchExpressions: selector.MatchExpressions})
	return err == nil && parsed.Matches(labels.Set(has))
}
