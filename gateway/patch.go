package gateway

import (
	"strconv"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// addPatch makes the EnvoyPatchPolicy that says about our one cluster what no field of Envoy
// Gateway's API can say, and nothing about anything else on that Gateway:
//
//   - overprovisioning_factor 100000 (percent of percent: 140 is Envoy's default): the next
//     priority gets calls only when this one has no healthy endpoint, not when it has fewer
//     than 72 % of them;
//   - update_merge_window 0s: changes of health take effect at once, instead of after up to a second;
//   - no_traffic_interval as the interval of the active check, where there is one: a cluster that has
//     not had a call yet would be checked once a minute, and an address that failed its first check,
//     such as a ClusterIP that kube-proxy has not heard of yet, could not stand by for as long;
//   - unhealthy_edge_interval: the second check follows soon after the first one that failed, so that an endpoint that freezes is left
//     within a second, and one that pauses for half a second is not;
//   - hedge_policy on its routes: see hedges.
//
// Where the EnvoyPatchPolicy API is off it is made all the same: its status is where the API's
// coming back shows.
func (e *expansion) addPatch() {
	if !e.shape.priorities && !e.shape.probe || !e.shape.patch || e.facts.Capabilities.EnvoyPatchPolicy == CapabilityMissing {
		return
	}
	ref := PatchRefIn(e.exs, e.facts)
	cluster := ClusterName(e.exs)
	meta := e.meta(ref.Name, "")
	meta.Namespace = ref.Namespace
	patches := []egv1a1.EnvoyJSONPatchConfig{
		addOperation(egv1a1.ClusterLoadAssignmentEnvoyResourceType, cluster, "/policy", `{"overprovisioning_factor":100000}`),
		addOperation(egv1a1.ClusterEnvoyResourceType, cluster, "/common_lb_config/update_merge_window", `"0s"`),
	}
	if check := e.activeHealthCheck(); check != nil {
		patches = append(patches,
			addOperation(egv1a1.ClusterEnvoyResourceType, cluster, "/health_checks/0/no_traffic_interval", inSeconds(parsed(*check.Interval))),
			addOperation(egv1a1.ClusterEnvoyResourceType, cluster, "/health_checks/0/unhealthy_edge_interval", inSeconds(min(edgeInterval, parsed(*check.Interval)))))
	}
	patches = append(patches, e.hedgePatches()...)
	e.add(&egv1a1.EnvoyPatchPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: egv1a1.GroupVersion.String(), Kind: KindEnvoyPatchPolicy},
		ObjectMeta: meta,
		Spec: egv1a1.EnvoyPatchPolicySpec{
			Type:        egv1a1.JSONPatchEnvoyPatchType,
			TargetRef:   e.patchTarget(),
			JSONPatches: patches,
		},
	})
}

// edgeInterval is how soon after a failed check the next one follows that may take the endpoint out.
const edgeInterval = 50 * time.Millisecond

func addOperation(resource egv1a1.EnvoyResourceType, name, path, value string) egv1a1.EnvoyJSONPatchConfig {
	return egv1a1.EnvoyJSONPatchConfig{
		Type: resource, Name: name,
		Operation: egv1a1.JSONPatchOperation{
			Op: "add", Path: ptr.To(path), Value: &apiextensionsv1.JSON{Raw: []byte(value)},
		},
	}
}

// inSeconds is a duration as JSON that protobuf reads, which knows no unit but seconds.
func inSeconds(value time.Duration) string {
	return strconv.Quote(strconv.FormatFloat(value.Seconds(), 'f', -1, 64) + "s")
}
