package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/signals"
)

const (
	// conflictRetry is how soon a run is repeated that lost a race for an object.
	conflictRetry = 100 * time.Millisecond
	// nextStep is how soon weights that are on their way go on. Reads see what was written before, so
	// that it need not be longer.
	nextStep = time.Millisecond
	// refusalRetry is how soon an object is offered again that the API server has refused: what made
	// it refuse (an admission rule, a quota) is nothing that Headgate watches.
	refusalRetry = time.Minute
)

// exposureReconciler makes the world match the expansion of one ExposedService.
type exposureReconciler struct {
	client client.Client
	// reader reads past the cache, for the few questions on which a stale answer does harm.
	reader client.Reader
	clock  clock.PassiveClock
	kinds  *servedKinds
	facts  factReader
	names  *takenNames
	// xds is what this replica serves over xDS; nil: nothing.
	xds   *xdsFeed
	calls *calls.Counter
	// compared counts the calls of canary and stable.
	compared *calls.Counter
	// queries makes the questions of both.
	queries calls.Queries
	// webhooks asks those of rollouts.
	webhooks *webhookAsker
	// pods remembers those of canaries.
	pods podMemory
	// config watches what rollouts track.
	config *configTracker
	// callsCounted tells the watches that there are new counts, or answers of webhooks, or changed configuration.
	callsCounted chan event.GenericEvent
	memory       memory
	news         news
	// stirred notes when an event came that a decision may follow.
	stirred *stirred
	// namespaces limit where Headgate looks; empty: everywhere.
	namespaces []string
	events     eventWriter
	metrics    *metrics
	// reconciled, if set, is told of every run (for tests).
	reconciled func(types.NamespacedName)
}

// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices/status,verbs=patch
// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices/finalizers,verbs=update

// Reconcile brings one ExposedService up to date.
func (r *exposureReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	start := r.clock.Now()
	if r.reconciled != nil {
		r.reconciled(req.NamespacedName)
	}
	result, err := r.reconcile(ctx, req)
	if isConflict(err) {
		result, err = ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	r.metrics.observeReconcile(r.clock.Since(start), err)
	return result, err
}

func (r *exposureReconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	exs := &v1alpha1.ExposedService{}
	if err := r.client.Get(ctx, req.NamespacedName, exs); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("read ExposedService %s: %w", req, err)
	}
	if exs.DeletionTimestamp != nil {
		return r.reconcileDeleted(ctx, exs)
	}
	stirred := r.stirred.take(req.NamespacedName)
	s := &scope{log: logf.FromContext(ctx), exs: exs, live: map[gateway.Ref]client.Object{}}

	// 1. Read what belongs to it, and 2. everything else that it depends on.
	if err := r.readLive(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.gatherFacts(ctx, s); err != nil {
		return ctrl.Result{}, err
	}

	// 3. Decide who serves, and say so before anything follows it. 4. Work out what is to be.
	r.calls.Watch(exs, func() signals.Query { return r.queries.Backends(ctx, exs, s.facts) })
	r.compared.Watch(exs, func() signals.Query { return r.queries.Sides(ctx, exs, s.facts, workloadOf(exs).Name) })
	if err := r.decide(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	r.expand(s)
	opinion := r.xdsOpinionOf(s)
	s.expansion.Problems = append(s.expansion.Problems, opinion.problems...)

	// 5. Refuse what is not ours to touch, and 6. what an older one already has.
	if err := r.refuseNameConflicts(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.refuseRouteConflicts(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	r.names.set(req.NamespacedName, s.waitsFor)

	// 7. Let the Deployments follow the rollout, whatever becomes of the rest.
	r.followRollout(ctx, s)

	// 8. Apply, 9. remove what is no longer wanted, 10. let go of the finalizer when nothing needs it.
	if !s.expansion.Blocked {
		r.applyAll(ctx, s)
		r.measureDecision(s, stirred)
		r.prune(ctx, s)
		r.releaseFinalizer(ctx, s)
	}

	if s.expansion.Unfinished && !s.expansion.Blocked && len(s.failures) == 0 && len(s.errs) == 0 && !s.conflicted {
		// The weights are on their way: what the data plane thinks of half of it is no news.
		return ctrl.Result{RequeueAfter: nextStep}, nil
	}

	// 11. Judge, and 12. say so.
	live := s.dataPlane()
	if s.expansion.Blocked && live.Route == nil {
		s.expansion.FailoverReason = v1alpha1.ReasonUnknown
		s.expansion.FailoverMessage = "nothing is exposed yet"
	}
	verdict := r.judge(s, live, opinion)
	if err := r.writeStatus(ctx, s, verdict); err != nil {
		s.fail(err)
	}
	if err := errors.Join(s.errs...); err != nil {
		return ctrl.Result{}, err
	}
	if s.conflicted {
		s.runAgain(conflictRetry)
	}
	return ctrl.Result{RequeueAfter: s.again}, nil
}

// measureDecision measures how long it took from an event to the objects that follow the decision
// which it led to.
func (r *exposureReconciler) measureDecision(s *scope, stirred time.Time) {
	if s.decided && !stirred.IsZero() && len(s.failures) == 0 && !s.conflicted {
		r.metrics.decisionLatency.Observe(r.clock.Since(stirred).Seconds())
	}
}

// forget drops what is kept in memory of an ExposedService that is gone.
func (r *exposureReconciler) forget(key types.NamespacedName) {
	r.names.forget(key)
	r.calls.Forget(key)
	r.compared.Forget(key)
	r.webhooks.forget(key)
	r.pods.forget(key)
	r.config.forget(key)
	r.memory.forget(key)
	r.news.rest(key, false, time.Time{})
	r.stirred.take(key)
}

// judge makes the conditions.
func (r *exposureReconciler) judge(s *scope, live gateway.Live, opinion xdsOpinion) gateway.Verdict {
	var verdict gateway.Verdict
	if s.exs.Spec.Gateway == nil && s.exs.Spec.XDS != nil {
		verdict = judgeXDS(s.exs, s.expansion, opinion)
	} else {
		verdict = gateway.Judge(s.exs, s.expansion, live, s.failures)
	}
	if s.exs.Spec.XDS != nil {
		verdict.Conditions = append(verdict.Conditions, judgeClients(s.exs, opinion))
	}
	return verdict
}

// expand works out what is to be. Without Gateway API there is nothing to expand to.
func (r *exposureReconciler) expand(s *scope) {
	if s.exs.Spec.Gateway == nil && s.exs.Spec.XDS != nil {
		s.expansion = xdsExpansion(s.exs, s.facts)
		return
	}
	if r.kinds.gatewayAPI() {
		s.expansion = gateway.Expand(s.exs, s.facts)
		return
	}
	s.expansion = gateway.Expansion{
		Blocked: true,
		Problems: []gateway.Problem{{Reason: v1alpha1.ReasonGatewayAPIMissing, Message: "the cluster does not have the kinds " +
			"GatewayClass, Gateway and GRPCRoute in version gateway.networking.k8s.io/v1: install Gateway API 1.1 or newer, " +
			"which comes with Envoy Gateway"}},
		FailoverReason:  v1alpha1.ReasonUnknown,
		FailoverMessage: "nothing is known before Gateway API is installed",
		Gateway:         gateway.GatewayRef(s.exs),
		Backends:        s.exs.Status.Backends,
	}
}

// fail notes an error after which the run goes on. A lost race is no error: it is run again.
func (s *scope) fail(err error) {
	if isConflict(err) {
		s.conflicted = true
		return
	}
	s.errs = append(s.errs, err)
}

// isConflict: somebody changed, made or removed the object between our reading and our writing.
func isConflict(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}
