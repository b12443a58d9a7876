package exposure

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// judge makes the conditions from what the steps of the run have come to and what the data planes say.
func (r *run) judge() gateway.Verdict {
	// What was applied is judged as it is now.
	live := r.dataPlane()
	expansion := r.expansion.With(r.refusals, slices.Concat(r.served.problems, r.shipping.Problems))
	expansion.Blocked = r.blocked()
	if expansion.Blocked && live.Route == nil {
		expansion.FailoverReason = v1alpha1.ReasonUnknown
		expansion.FailoverMessage = "nothing is exposed yet"
	}
	var verdict gateway.Verdict
	if r.xdsOnly() {
		verdict = judgeXDS(r.exs, expansion, r.served)
	} else {
		verdict = gateway.Judge(r.exs, expansion, live, slices.Concat(r.exposing.Failures, r.shipping.Failures))
	}
	if r.exs.Spec.XDS != nil {
		verdict.Conditions = append(verdict.Conditions, judgeClients(r.exs, r.served))
	}
	return verdict
}
