package rollout

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
)

// transition is one way from a phase to another, or within one.
type transition struct {
	// name is the reason of the decision in the history.
	name v1alpha1.DecisionReason
	from []v1alpha1.RolloutPhase
	to   v1alpha1.RolloutPhase
	// due says whether it is to happen, and why, for people.
	due func(*look) (why string, due bool)
	// do changes the status beyond its phase; nil: nothing.
	do func(*look)
}

const (
	none             = phaseNone
	idle             = v1alpha1.RolloutIdle
	preparing        = v1alpha1.RolloutPreparing
	stepping         = v1alpha1.RolloutStepping
	awaitingApproval = v1alpha1.RolloutAwaitingApproval
	promoting        = v1alpha1.RolloutPromoting
	releasing        = v1alpha1.RolloutReleasing
	awaitingSwap     = v1alpha1.RolloutAwaitingSwap
	handingOver      = v1alpha1.RolloutHandingOver
	rollingBack      = v1alpha1.RolloutRollingBack
	suspended        = v1alpha1.RolloutSuspended
	rechecking       = v1alpha1.RolloutRechecking
)

func phases(list ...v1alpha1.RolloutPhase) []v1alpha1.RolloutPhase { return list }

// transitions are all there are; the package's documentation has the same table. The first that is due is taken, one in a look. What
// takes the canary out comes before what keeps it in.
var transitions = []transition{
	{v1alpha1.DecisionRolloutAdded, phases(none), idle, added, (*look).add},
	{v1alpha1.DecisionRolloutUpgraded, phases(preparing, stepping, awaitingApproval, rechecking, promoting, suspended), preparing, upgraded, (*look).upgrade},
	{v1alpha1.DecisionRolloutUpgraded, phases(handingOver), rollingBack, upgradedAtTheEnd, (*look).takeOut},
	{v1alpha1.DecisionRolloutFailed, phases(preparing, stepping, awaitingApproval, rechecking, promoting, releasing, awaitingSwap, suspended), rollingBack, failed, (*look).fail},
	{v1alpha1.DecisionRolloutWithdrawn, phases(preparing, stepping, awaitingApproval, rechecking, promoting, awaitingSwap, handingOver, suspended), rollingBack, withdrawn, (*look).takeOut},
	{v1alpha1.DecisionWorkloadDeleted, phases(preparing, stepping, awaitingApproval, rechecking, promoting, releasing, suspended), rollingBack, deleted, (*look).takeOut},
	{v1alpha1.DecisionRolloutReverted, phases(preparing, stepping, awaitingApproval, rechecking, promoting, releasing, awaitingSwap, suspended), rollingBack, reverted, (*look).takeOut},
	{v1alpha1.DecisionRolloutReplaced, phases(preparing, stepping, awaitingApproval, rechecking, promoting, releasing, awaitingSwap, handingOver, suspended), rollingBack, replaced, (*look).takeOut},
	{v1alpha1.DecisionRolloutSuspended, phases(preparing, stepping, awaitingApproval, rechecking), suspended, interrupted, (*look).takeOut},
	{v1alpha1.DecisionRolloutSuspended, phases(promoting), suspended, scaledToZero, (*look).takeOut},
	{v1alpha1.DecisionCanarySuspected, phases(preparing, stepping, awaitingApproval, promoting, awaitingSwap), rechecking, suspected, (*look).suspect},
	{v1alpha1.DecisionCanaryLost, phases(preparing, stepping, awaitingApproval, promoting, releasing, awaitingSwap), preparing, lost, (*look).lose},
	{v1alpha1.DecisionCanaryDropped, phases(handingOver), handingOver, dropped, (*look).takeOut},
	{v1alpha1.DecisionRollbackFinished, phases(rollingBack), idle, gone, (*look).endRollback},
	{v1alpha1.DecisionRolloutRemoved, phases(idle), none, removable, nil},
	{v1alpha1.DecisionStableForgotten, phases(idle), idle, stableGone, (*look).forgetStable},
	{v1alpha1.DecisionStableAdopted, phases(idle), idle, adoptable, (*look).adopt},
	{v1alpha1.DecisionFailureCleared, phases(idle), idle, putBack, (*look).clearFailure},
	{v1alpha1.DecisionRestartReleased, phases(idle), idle, restarted, (*look).releaseRestart},
	{v1alpha1.DecisionRolloutStarted, phases(idle), preparing, startable, (*look).start},
	{v1alpha1.DecisionPodsTakenBack, phases(idle), rollingBack, begun, (*look).takeBack},
	{v1alpha1.DecisionRolloutResumed, phases(suspended), preparing, resumable, (*look).restart},
	{v1alpha1.DecisionCanaryRechecked, phases(rechecking), preparing, rechecked, (*look).restart},
	{v1alpha1.DecisionProofWaived, phases(preparing, stepping, awaitingApproval), promoting, waived, (*look).waive},
	{v1alpha1.DecisionStepsChosen, phases(preparing), preparing, planned, (*look).takePlan},
	{v1alpha1.DecisionStepAltered, phases(preparing, stepping, awaitingApproval), preparing, altered, (*look).alter},
	{v1alpha1.DecisionStepDoubted, phases(preparing, stepping, awaitingApproval), preparing, doubted, (*look).stepBack},
	{v1alpha1.DecisionStepStarted, phases(preparing), stepping, prepared, (*look).startStep},
	{v1alpha1.DecisionStepPassed, phases(stepping), stepping, passes, (*look).recordVerdict},
	{v1alpha1.DecisionApprovalAwaited, phases(stepping), awaitingApproval, unapproved, nil},
	{v1alpha1.DecisionStepAdvanced, phases(stepping, awaitingApproval), preparing, advancing, (*look).nextStep},
	{v1alpha1.DecisionPromotionStarted, phases(stepping, awaitingApproval), promoting, finishing, (*look).promote},
	{v1alpha1.DecisionRolloutReleased, phases(promoting), releasing, releasable, nil},
	{v1alpha1.DecisionPromoted, phases(releasing), idle, promoted, (*look).endPromotion},
	{v1alpha1.DecisionSwapAwaited, phases(promoting), awaitingSwap, servesAll, nil},
	{v1alpha1.DecisionSwapped, phases(awaitingSwap), handingOver, swapped, (*look).takeAsStable},
	{v1alpha1.DecisionShareHandedOver, phases(handingOver), handingOver, handsOver, (*look).handOver},
	{v1alpha1.DecisionRolloutFinished, phases(handingOver), idle, gone, (*look).finish},
}

// move takes the first transition that is due, and says which, or nil.
func (l *look) move() (*transition, string) {
	for i := range transitions {
		t := &transitions[i]
		if !slices.Contains(t.from, l.status.Phase) {
			continue
		}
		why, due := t.due(l)
		if !due {
			continue
		}
		if t.do != nil {
			t.do(l)
		}
		if l.status.Phase != t.to {
			l.status.Phase, l.status.Since = t.to, *micro(l.now)
		}
		return t, why
	}
	return nil, ""
}
