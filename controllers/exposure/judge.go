package exposure

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
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
	if r.exs.Spec.XDS != nil {
		verdict.Conditions = append(verdict.Conditions, judgeClients(r.exs, r.served))
		verdict.XDSHosts, verdict.XDSPort = r.hosts()
	}
	return verdict
}

// hosts are those that clients of xds find it by, and its port. While the newest spec has not been taken in, it has what it had.
func (r *run) hosts() ([]string, v1alpha1.PortNumber) {
	if r.served.generation < r.exs.Generation && r.exs.Status.XDS != nil {
		return r.exs.Status.XDS.Hosts, r.exs.Status.XDS.Port
	}
	return r.served.hosts, r.served.port
}
