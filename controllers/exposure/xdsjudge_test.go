package exposure

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/gateway"
)

func replica(name string, clients, acknowledged, rejecting int32, words string) v1alpha1.XDSReplica {
	out := v1alpha1.XDSReplica{
		Name: name, ObservedGeneration: 2, Revision: 7, Clients: clients, Acknowledged: acknowledged, Rejecting: rejecting,
	}
	if words != "" {
		out.Refusal = &v1alpha1.XDSRefusal{Node: "envoy", Type: "CDS", Message: words, Time: metav1.NewMicroTime(time.Unix(int64(len(words)), 0))}
	}
	return out
}

func reported(replicas ...v1alpha1.XDSReplica) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", Generation: 2}}
	exs.Spec.XDS = &v1alpha1.XDS{}
	exs.Status.Traffic = &v1alpha1.TrafficStatus{Revision: 7}
	exs.Status.XDS = &v1alpha1.XDSStatus{Replicas: replicas}
	return exs
}

func TestWhatClientsMakeOfItIsOneCondition(t *testing.T) {
	problem := []gateway.Problem{{Reason: v1alpha1.ReasonRouteConflict, Message: "somebody else has it"}}
	for name, test := range map[string]struct {
		exs     *v1alpha1.ExposedService
		opinion xdsVerdict
		status  metav1.ConditionStatus
		reason  v1alpha1.Reason
		words   string
	}{
		"nobody is connected":       {reported(), xdsVerdict{}, metav1.ConditionUnknown, v1alpha1.ReasonNoClients, "xds:///greeter.shop"},
		"all have acknowledged":     {reported(replica("a", 2, 2, 0, ""), replica("b", 1, 1, 0, "")), xdsVerdict{}, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged, "all 3"},
		"one has not yet":           {reported(replica("a", 2, 1, 0, ""), replica("b", 1, 1, 0, "")), xdsVerdict{}, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingClients, "2 of 3"},
		"one refuses":               {reported(replica("a", 2, 2, 0, ""), replica("b", 1, 0, 1, "no such field")), xdsVerdict{}, metav1.ConditionFalse, v1alpha1.ReasonRefusedByClient, "envoy (connected to b) says of CDS: no such field"},
		"two refuse, the last word": {reported(replica("a", 1, 0, 1, "the older"), replica("b", 1, 0, 1, "the newer one")), xdsVerdict{}, metav1.ConditionFalse, v1alpha1.ReasonRefusedByClient, "the newer one"},
		"nothing is served":         {reported(replica("a", 1, 1, 0, "")), xdsVerdict{problems: problem, nothing: true}, metav1.ConditionFalse, v1alpha1.ReasonNotServed, "Accepted"},
		"a host is lost":            {reported(replica("a", 1, 1, 0, "")), xdsVerdict{problems: problem}, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged, "all 1"},
		"there is no server":        {reported(), xdsVerdict{disabled: true, problems: problem}, metav1.ConditionFalse, v1alpha1.ReasonXDSDisabled, "somebody"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeClients(test.exs, test.opinion)
			if got.Status != test.status || got.Reason != string(test.reason) || !strings.Contains(got.Message, test.words) || got.ObservedGeneration != 2 {
				t.Errorf("it is %+v", got)
			}
		})
	}
}

func TestAStepWaitsForTheClientsOfAllReplicas(t *testing.T) {
	older, stale := replica("b", 1, 1, 0, ""), replica("b", 1, 1, 0, "")
	older.Revision, stale.ObservedGeneration = 6, 1
	without := reported()
	without.Status.XDS = nil
	for name, test := range map[string]struct {
		exs  *v1alpha1.ExposedService
		live bool
	}{
		"no clients":                       {without, true},
		"all have the decision":            {reported(replica("a", 3, 3, 0, ""), replica("b", 1, 1, 0, "")), true},
		"one client is behind":             {reported(replica("a", 3, 2, 0, ""), replica("b", 1, 1, 0, "")), false},
		"one replica serves an older one":  {reported(replica("a", 3, 3, 0, ""), older), false},
		"one replica serves an older spec": {reported(replica("a", 3, 3, 0, ""), stale), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := xdsfeed.IsLive(test.exs); got != test.live {
				t.Errorf("live: %t", got)
			}
		})
	}
}

// What only a Gateway can do is said to be ignored, and that one would help.
func TestWhatTheXDSServerIgnoresIsSaid(t *testing.T) {
	exs := reported()
	exs.Spec.Backends = []v1alpha1.Backend{{Name: "primary", FQDN: &v1alpha1.FQDNBackend{Hostname: "a.example.com", Port: 443}}}
	exs.Spec.Overrides = []v1alpha1.Override{{Kind: "GRPCRoute"}}
	exs.Spec.Failover = &v1alpha1.Failover{Strategy: ptr.To(v1alpha1.StrategyWeights)}
	expansion := expandXDS(exs, gateway.Resolve(exs, gateway.Facts{}))
	verdict := judgeXDS(exs, expansion, xdsVerdict{generation: exs.Generation}, nil)
	accepted := meta.FindStatusCondition(verdict.Conditions, v1alpha1.ConditionAccepted)
	if accepted.Status != metav1.ConditionTrue || accepted.Reason != string(v1alpha1.ReasonFieldsIgnored) {
		t.Fatalf("it is %+v", accepted)
	}
	for _, words := range []string{"spec.overrides", "spec.failover.strategy: Weights", "set spec.gateway"} {
		if !strings.Contains(accepted.Message, words) {
			t.Errorf("it does not say %q: %s", words, accepted.Message)
		}
	}
	if strings.Contains(accepted.Message, "GatewayClass") {
		t.Errorf("there is no class: %s", accepted.Message)
	}
}
