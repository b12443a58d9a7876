package exposure

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/report"
	"github.com/headgate/headgate/controllers/xdsfeed"
)

const (
	// nextStep is how soon weights that are on their way go on. Reads see what was written before, so
	// that it need not be longer; with several namespaces they do not, and nextStepUnseen is.
	nextStep       = time.Millisecond
	nextStepUnseen = 50 * time.Millisecond
	// What fails is tried again after firstRetry, then each time after twice as long, up to lastRetry; a
	// race that was lost after kube.ConflictRetry, up to lastConflictRetry.
	firstRetry        = 5 * time.Millisecond
	lastRetry         = 30 * time.Second
	lastConflictRetry = 5 * time.Second
	// What the API server has refused is offered again after firstRefusalRetry, then each time after twice as long, up to kube.RefusalRetry: a
	// right may be back in a moment, and a failover must not wait a minute for it.
	firstRefusalRetry = time.Second
)

// Config is what a Reconciler is made with.
type Config struct {
	kube.Objects

	Clock clock.PassiveClock
	Facts facts.Reader
	// Waiters are told which names are taken.
	Waiters *index.Waiters
	// Claims knows who claims which calls of a Gateway.
	Claims *index.Claims
	// XDS is what this replica serves over xDS; nil: nothing.
	XDS *xdsfeed.Feed
	// Calls counts those of all backends, Compared those of canary and stable.
	Calls, Compared *calls.Counter
	// Latencies estimates how long calls take.
	Latencies *calls.Latencies
	// Queries makes the questions of all three.
	Queries     calls.Queries
	Deployments *deployments.Follower
	// Report writes the statuses.
	Report *report.Writer
	// Namespaces limit where Headgate looks; empty: everywhere.
	Namespaces []string
	// Running, if set, is told of every run; what it returns is called at the end (for tests).
	Running func(types.NamespacedName) (ended func())
}

// Reconciler makes the world match the expansion of one ExposedService.
type Reconciler struct {
	Config

	// states are what the decider remembers beside the status.
	states deciderStates
	// gathered is the evidence of rollouts since it was last written.
	gathered gatherings
	// reports wait for a moment in which nothing else is written.
	reports delays
	// exposures wait for what is looked up for the first time.
	exposures delays
	// silences are since when data planes say nothing of the newest objects.
	silences times
	// events are when events came that a decision may follow.
	events times
	// grants are the calls of Gateways that were given to ExposedServices.
	grants grants

	failures, conflicts, refusals workqueue.TypedRateLimiter[types.NamespacedName]
}

// New makes a Reconciler.
func New(config Config) *Reconciler {
	return &Reconciler{
		Config:  config,
		reports: delays{most: reportDelay}, exposures: delays{most: awaitLimit},
		failures:  workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, lastRetry),
		conflicts: workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](kube.ConflictRetry, lastConflictRetry),
		refusals:  workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRefusalRetry, kube.RefusalRetry),
	}
}

// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices/status,verbs=patch
// +kubebuilder:rbac:groups=headgate.dev,resources=exposedservices/finalizers,verbs=update

// Reconcile brings one ExposedService up to date. It returns no error: what failed is tried again by a timer of
// its own, so that it never takes the place of one that a decision has set.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	start := r.Clock.Now()
	if r.Running != nil {
		defer r.Running(req.NamespacedName)()
	}
	again, err := r.reconcile(kube.WaitOnce(ctx), req.NamespacedName)
	r.Metrics.ObserveReconcile(r.Clock.Since(start), withoutConflicts(err))
	switch {
	case err == nil:
		r.failures.Forget(req.NamespacedName)
		r.conflicts.Forget(req.NamespacedName)
	case withoutConflicts(err) == nil:
		again = sooner(again, r.conflicts.When(req.NamespacedName))
	default:
		logf.FromContext(ctx).Error(err, "a run has failed and is tried again")
		again = sooner(again, r.failures.When(req.NamespacedName))
	}
	// A timer must not keep the low priority of the request that led to it.
	return ctrl.Result{RequeueAfter: again, Priority: ptr.To(0)}, nil
}

// sooner is the shorter of two times to wait; 0: for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// errConflict: an object was changed under our hands.
var errConflict = errors.New("an object was changed meanwhile")

// withoutConflicts is an error, unless it is that a race was lost.
func withoutConflicts(err error) error {
	if err == nil || errors.Is(err, errConflict) || kube.IsConflict(err) {
		return nil
	}
	return err
}

// reconcile returns when to run again, and what went wrong.
func (r *Reconciler) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	exs := &v1alpha1.ExposedService{}
	if err := r.Client.Get(ctx, key, exs); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(key)
			return 0, nil
		}
		return 0, fmt.Errorf("read ExposedService %s: %w", key, err)
	}
	if exs.DeletionTimestamp != nil {
		return r.reconcileDeleted(ctx, exs)
	}
	run := &run{Reconciler: r, exs: exs, noted: r.takeNoted(key)}

	// 1. Read what belongs to it, and 2. everything else that it depends on.
	if err := run.read(ctx); err != nil {
		return 0, err
	}
	// 3. Decide who serves, and say so before anything follows it. 4. Work out what is to be.
	if err := run.decide(ctx); err != nil {
		kube.NoteConflict(r.Client, exs, err)
		return run.exposing.Again, err
	}
	if rest := r.exposures.rest(key, run.found.Awaited && run.followsGateway() && run.live.Route == nil, r.Clock.Now()); rest > 0 {
		// What is exposed for the first time is made complete: a change of it would cost calls.
		return sooner(run.exposing.Again, rest), nil
	}
	run.expand()

	// 5. Refuse what is not ours to touch, and 6. what somebody else already has.
	run.refuseTakenNames(ctx)
	run.claimCalls(ctx)

	// 7. Let the Deployments follow the rollout, whatever becomes of the rest.
	run.followRollout(ctx)
	r.Waiters.Set(key, append(run.exposing.WaitsFor, run.shipping.WaitsFor...))

	// 8. Apply, 9. remove what is no longer wanted, 10. let go of the finalizer when nothing needs it.
	run.apply(ctx)
	run.releaseUnused()
	run.prune(ctx)
	run.releaseFinalizer(ctx)

	if run.weightsAreOnTheirWay() {
		// What the data plane thinks of half of it is no news.
		if kube.SeesOwnWrites(r.Namespaces) {
			return nextStep, nil
		}
		return nextStepUnseen, nil
	}

	// 11. Judge, and 12. say so.
	run.exposing.Fail(r.Report.Write(ctx, exs, run.expansion, run.judge()))
	return run.outcome()
}

// forget drops what is kept in memory of an ExposedService that is gone.
func (r *Reconciler) forget(key types.NamespacedName) {
	r.Waiters.Forget(key)
	r.Calls.Forget(key)
	r.Compared.Forget(key)
	r.Latencies.Forget(key)
	r.Deployments.Forget(key)
	r.Facts.Forget(key)
	r.Settled.Forget(key)
	r.states.forget(key)
	r.gathered.forget(key)
	r.reports.forget(key)
	r.exposures.forget(key)
	r.events.set(key, time.Time{})
	r.Report.Forget(key)
	r.silences.set(key, time.Time{})
	r.Facts.Wake.Wake(r.grants.release(key)...)
	r.failures.Forget(key)
	r.conflicts.Forget(key)
	r.refusals.Forget(key)
}
