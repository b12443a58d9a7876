package exposure

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

// judge makes the conditions from what the steps of the run have come to and what the data planes say.
func (r *run) judge() gateway.Verdict {
	expansion := r.expansion.With(slices.Concat(r.served.problems, r.shipping.Problems)...)
	failures := slices.Concat(r.exposing.Failures, r.shipping.Failures)
	var verdict gateway.Verdict
	if r.xdsOnly() {
		verdict = judgeXDS(r.exs, expansion, r.served, failures)
	} else {
		key := client.ObjectKeyFromObject(r.exs)
		verdict = gateway.Judge(r.exs, gateway.Findings{
			// What was applied is judged as it is now.
			Expansion: expansion, Live: r.dataPlane(), Failures: failures, Now: r.Clock.Now(), SilentSince: r.silences.at(key),
		})
		r.silences.set(key, verdict.SilentSince)
		r.exposing.RunAgain(verdict.Again)
	}
	verdict.Conditions = withNotes(verdict.Conditions, r.shipping.Notes)
	if r.exs.Spec.XDS != nil {
		verdict.Conditions = append(verdict.Conditions, judgeClients(r.exs, r.served))
		verdict.XDSHosts, verdict.XDSPort = r.hosts()
	}
	return verdict
}

// withNotes says what everything works in spite of, where there is nothing else to say.
func withNotes(conditions []metav1.Condition, notes []kube.Note) []metav1.Condition {
	accepted := meta.FindStatusCondition(conditions, v1alpha1.ConditionAccepted)
	if accepted != nil && accepted.Reason == string(v1alpha1.ReasonAccepted) && len(notes) > 0 {
		accepted.Reason, accepted.Message = string(notes[0].Reason), notes[0].Message
	}
	return conditions
}

// hosts are those that clients of xds find it by, and its port. While the newest spec has not been taken in, it has what it had.
func (r *run) hosts() ([]string, v1alpha1.PortNumber) {
	if r.served.generation < r.exs.Generation && r.exs.Status.XDS != nil {
		return r.exs.Status.XDS.Hosts, r.exs.Status.XDS.Port
	}
	return r.served.hosts, r.served.port
}
