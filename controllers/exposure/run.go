package exposure

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
)

// run is one run of Reconcile: what was read, what was decided, and what became of it.
type run struct {
	*Reconciler

	// exs is a copy; its status is the one that was read, and then the one that was decided.
	exs *v1alpha1.ExposedService
	// noted is when the first event came since the last run; zero: none did.
	noted time.Time

	// What was read: the objects of ours, what the data plane says of them, everything else that the
	// expansion depends on, and the Deployments of a rollout.
	inventory *kube.Inventory
	live      gateway.Live
	found     facts.Found
	workloads deployments.State
	// resolved are the backends as they were found.
	resolved gateway.Resolved

	// decided: a decision was taken in this run.
	decided bool
	// intents are what is to be made true of the Deployments.
	intents rollout.Intents
	// expansion is what is to be.
	expansion gateway.Expansion
	// served is what this replica's xDS has made of it.
	served xdsVerdict

	// unapplied are the objects that could not be applied, and what stands on them.
	unapplied []gateway.Object
	// exposing is what has become of everything but the rollout, shipping of the rollout.
	exposing, shipping kube.Step
}

// followsGateway: the ExposedService asks for a Gateway, and the cluster has the kinds for it.
func (r *run) followsGateway() bool { return r.exs.Spec.Gateway != nil && r.Kinds.GatewayAPI() }

// followsAny: there is a data plane that can follow a decision.
func (r *run) followsAny() bool { return r.exs.Spec.XDS != nil || r.followsGateway() }

// xdsOnly: there is no Gateway to make anything for.
func (r *run) xdsOnly() bool { return r.exs.Spec.Gateway == nil && r.exs.Spec.XDS != nil }

// read reads what belongs to the ExposedService and what it depends on.
func (r *run) read(ctx context.Context) error {
	var err error
	if r.inventory, err = r.ReadInventory(ctx, r.exs, index.ByOwner); err != nil {
		return err
	}
	if !r.followsAny() {
		return nil
	}
	r.found, err = r.Facts.Read(ctx, r.exs, facts.Asked{
		Gateway: r.followsGateway(), XDS: r.exs.Spec.XDS != nil, Own: r.inventory.Service,
	})
	if err != nil {
		return err
	}
	r.exposing.RunAgain(r.found.Again)
	for _, err := range r.found.Errs {
		r.exposing.Fail(err)
	}
	if r.workloads, err = r.Deployments.Read(ctx, r.exs); err != nil {
		return err
	}
	r.live = r.dataPlane()
	r.found.Capabilities = gateway.CapabilitiesFrom(r.exs, r.live, gateway.Served{
		Backend: r.Kinds.Has(kube.KindBackend), EnvoyPatchPolicy: r.Kinds.Has(kube.KindPatchPolicy),
	})
	r.found.LiveWeights = gateway.LiveWeights(r.exs, r.found.Canary, r.live.Route)
	r.found.LiveRoute, r.found.RouteAccepted = r.live.Route, r.live.RouteAccepted()
	r.found.LiveStandby = standbyOf(r.exs, r.live)
	r.found.LiveHosts = gateway.LiveHosts(r.exs, r.live)
	r.found.LiveHealthCheck = healthCheckOf(r.live.TrafficPolicy)
	r.resolved = gateway.Resolve(r.exs, r.found.Facts)
	return nil
}

// expand works out what is to be. Without Gateway API there is nothing to expand to.
func (r *run) expand() {
	r.served = r.xdsVerdict()
	switch {
	case r.xdsOnly():
		r.expansion = expandXDS(r.exs, r.resolved)
	case r.Kinds.GatewayAPI():
		r.expansion = r.resolved.Expand()
	default:
		r.expansion = gateway.Expansion{
			Blocked: true,
			Problems: []gateway.Problem{{Reason: v1alpha1.ReasonGatewayAPIMissing, Message: "the cluster does not have the kinds " +
				"GatewayClass, Gateway and GRPCRoute in version gateway.networking.k8s.io/v1: install Gateway API 1.1 or newer, " +
				"which comes with Envoy Gateway"}},
			FailoverReason:  v1alpha1.ReasonUnknown,
			FailoverMessage: "nothing is known before Gateway API is installed",
			Gateway:         gateway.GatewayRef(r.exs),
			Backends:        r.exs.Status.Backends,
		}
	}
}

// weightsAreOnTheirWay: the next step of the weights is to follow as soon as this one is applied.
func (r *run) weightsAreOnTheirWay() bool {
	return r.expansion.Unfinished && r.exposing.Went() && r.shipping.Went()
}

// followRollout makes true what was decided about the Deployments. The decision is in the status by now.
func (r *run) followRollout(ctx context.Context) {
	if !r.followsAny() {
		return
	}
	var front *corev1.Service
	if len(r.exs.Spec.Backends) > 0 {
		front = r.found.Backends[r.exs.Spec.Backends[0].Name].Service
	}
	r.shipping = r.Deployments.Follow(ctx, r.exs, r.workloads, r.intents, r.inventory, front)
	r.checkAnalysis()
}

// outcome is when to run again, and what went wrong.
func (r *run) outcome() (time.Duration, error) {
	all := r.exposing
	all.Merge(r.shipping)
	key := client.ObjectKeyFromObject(r.exs)
	if !all.Refusal || r.decided {
		r.refusals.Forget(key) // What follows a new decision is not held back by what was refused before.
	}
	if all.Refusal {
		all.RunAgain(r.refusals.When(key))
	}
	if err := errors.Join(all.Errs...); err != nil {
		return all.Again, err
	}
	if all.Conflicted {
		return all.Again, errConflict
	}
	return all.Again, nil
}
