// Package rollout decides how a new version of the first backend is shipped: it advances on evidence that the new version is good
// enough for more calls, rolls back when it is worse, and decides nothing from noise or from missing data.
//
// Decide is a pure function of the spec, the previous status, what was observed and the time. It remembers everything in the
// status it returns, which is written before anything acts on it, so that a restart between any two looks changes nothing. Evidence that
// nothing hangs on yet is written each 15 seconds (gathered): a restart loses what came since, and nothing is counted twice. A look
// takes in what was observed, takes at most one transition of the table, and says what the followers are to make true:
//
//	look        what one look knows; calls are fed to the judge (evidence)
//	transition  the table below in code; begin, steps, promotion and ending hold what each row asks and does
//	obstacle    what keeps a step from being left
//	plan        the traffic that is measured before the canary has any, and the steps that are chosen from it
//	failure     what rolls back, which never waits for anything else
//	size        how many pods the canary has, and the weight that follows them
//	slots       which of its two places the stable version has
//	intents     what the followers are to make true
//
// One word for one thing: the revision that is shipped runs in the canary, which is the Deployment's own new ReplicaSet; stable is the
// revision that it ran before. A
// weight is the canary's share of the first backend's calls in parts of 1,000,000; it is live once the data plane serves it. A step is
// passed by a verdict, which is on record before anything follows from it, and left when no obstacle is in the way. To suspect a canary
// takes a few seconds, and to roll it back for what its calls say takes several moments in which it was bad: a suspected canary loses its
// calls at once, and gets them again from the first step on. An attempt is the way from one such beginning to the next, or from a
// step that was gone back; an approval is for one attempt.
//
// The transitions, in order: of those from the present phase, the first that is due is taken.
//
//	transition       | from                                                                                                  | to               | when
//	RolloutAdded     | None                                                                                                  | Idle             | spec.rollout is new
//	RolloutUpgraded  | Preparing Stepping AwaitingApproval Rechecking Promoting Suspended                                    | Preparing        | an earlier version of Headgate began it; again from the first step
//	RolloutUpgraded  | HandingOver                                                                                           | RollingBack      | the same, when its canary is no longer needed
//	RolloutFailed    | Preparing Stepping AwaitingApproval Rechecking Promoting Releasing AwaitingSwap Suspended             | RollingBack      | surely worse, suspected again and again, in trouble, aborted, or undecided with RollBack
//	RolloutWithdrawn | Preparing Stepping AwaitingApproval Rechecking Promoting AwaitingSwap HandingOver Suspended           | RollingBack      | spec.rollout is gone, or names another target
//	WorkloadDeleted  | Preparing Stepping AwaitingApproval Rechecking Promoting Releasing Suspended                          | RollingBack      | the Deployment is gone
//	RolloutReverted  | Preparing Stepping AwaitingApproval Rechecking Promoting Releasing AwaitingSwap Suspended             | RollingBack      | the stable revision is asked for again
//	RolloutReplaced  | Preparing Stepping AwaitingApproval Rechecking Promoting Releasing AwaitingSwap HandingOver Suspended | RollingBack      | another revision is asked for
//	RolloutSuspended | Preparing Stepping AwaitingApproval Rechecking                                                        | Suspended        | the first backend does not serve alone, or is scaled to zero
//	RolloutSuspended | Promoting                                                                                             | Suspended        | it is scaled to zero
//	CanarySuspected  | Preparing Stepping AwaitingApproval Promoting AwaitingSwap                                            | Rechecking       | it looks worse than is tolerated, from too few moments to be sure: its calls are taken away
//	CanaryLost       | Preparing Stepping AwaitingApproval Promoting Releasing AwaitingSwap                                  | Preparing        | the canary has weight and no ready pod; again from the first step
//	CanaryDropped    | HandingOver                                                                                           | HandingOver      | the same, when the user's own canary is no longer needed
//	RollbackFinished | RollingBack                                                                                           | Idle             | weight zero is live, and the last calls have ended
//	RolloutRemoved   | Idle                                                                                                  | None             | withdrawn; the canary is gone and the Deployment is given up
//	StableForgotten  | Idle                                                                                                  | Idle             | the Deployment is gone
//	StableAdopted    | Idle                                                                                                  | Idle             | what the Deployment runs is known, or all its pods are of another revision already
//	FailureCleared   | Idle                                                                                                  | Idle             | the stable revision is asked for again after a failed one
//	RestartReleased  | Idle                                                                                                  | Idle             | the pod template is that of a restart of the stable revision
//	RolloutStarted   | Idle                                                                                                  | Preparing        | there is a new revision, and nothing keeps it
//	PodsTakenBack    | Idle                                                                                                  | RollingBack      | there are pods of a revision that is not to run yet, or not again
//	RolloutResumed   | Suspended                                                                                             | Preparing        | the first backend serves alone again, or has had no ready pod for a while; again from the first step
//	CanaryRechecked  | Rechecking                                                                                            | Preparing        | it had no calls for a while, and what it did before does not suffice; again from the first step
//	ProofWaived      | Preparing Stepping AwaitingApproval                                                                   | Promoting        | it was stable before, somebody has promoted it, or there is nothing to compare it with
//	StepsChosen      | Preparing                                                                                             | Preparing        | the traffic was measured, and the spec has no steps
//	StepAltered      | Preparing Stepping AwaitingApproval                                                                   | Preparing        | the spec has another weight for the step
//	StepDoubted      | Preparing Stepping AwaitingApproval                                                                   | Preparing        | something speaks against a canary that is to get more, or has all calls; back by one step
//	StepStarted      | Preparing                                                                                             | Stepping         | the pods that the step's weight takes are ready: the weight rises to it
//	StepPassed       | Stepping                                                                                              | Stepping         | the evidence suffices: the verdict is recorded
//	ApprovalAwaited  | Stepping                                                                                              | AwaitingApproval | nothing but the approval is missing
//	StepAdvanced     | Stepping AwaitingApproval                                                                             | Preparing        | a verdict is on record, and no obstacle is in the way
//	PromotionStarted | Stepping AwaitingApproval                                                                             | Promoting        | the same, in the last step
//	RolloutReleased  | Promoting                                                                                             | Releasing        | the revision has the calls, and the pods for them
//	Promoted         | Releasing                                                                                             | Idle             | all pods of the Deployment run the revision; or another one is asked for by now
//	SwapAwaited      | Promoting                                                                                             | AwaitingSwap     | the user's own canary has everything
//	Swapped          | AwaitingSwap                                                                                          | HandingOver      | the first backend was changed to the revision
//	ShareHandedOver  | HandingOver                                                                                           | HandingOver      | the share was live for a while: the next is smaller
//	RolloutFinished  | HandingOver                                                                                           | Idle             | weight zero is live, and the last calls have ended
package rollout
