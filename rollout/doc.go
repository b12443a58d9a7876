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
//	intents     what the followers are to make true
//
// One word for one thing: the revision that is shipped runs in the canary; stable is the revision of the first backend's own pods. A
// weight is the canary's share of the first backend's calls in parts of 1,000,000; it is live once the data plane serves it. A step is
// passed by a verdict, which is on record before anything follows from it, and left when no obstacle is in the way. To suspect a canary
// takes a few seconds, and to roll it back for what its calls say takes several moments in which it was bad: a suspected canary loses its
// calls at once, and gets them again from the first step on. An attempt is the way from one such beginning to the next, or from a
// step that was gone back; an approval is for one attempt.
//
// The transitions, in order: of those from the present phase, the first that is due is taken.
//
//	transition       | from                                                                                        | to               | when
//	RolloutAdded     | None                                                                                        | Idle             | spec.rollout is new
//	RolloutFailed    | Preparing Stepping AwaitingApproval Rechecking Promoting AwaitingSwap Suspended             | RollingBack      | surely worse, suspected again and again, in trouble, dying again and again, or undecided with RollBack
//	RolloutWithdrawn | Preparing Stepping AwaitingApproval Rechecking Promoting AwaitingSwap HandingOver Suspended | RollingBack      | spec.rollout is gone, or names another target
//	WorkloadDeleted  | Preparing Stepping AwaitingApproval Rechecking Promoting HandingOver Suspended              | RollingBack      | the Deployment is gone
//	RolloutReverted  | Preparing Stepping AwaitingApproval Rechecking Promoting AwaitingSwap Suspended             | RollingBack      | the stable revision is asked for again
//	RolloutReplaced  | Preparing Stepping AwaitingApproval Rechecking Promoting AwaitingSwap HandingOver Suspended | RollingBack      | another revision is asked for
//	RolloutSuspended | Preparing Stepping AwaitingApproval Rechecking                                              | Suspended        | the first backend does not serve alone, or is scaled to zero
//	CanarySuspected  | Preparing Stepping AwaitingApproval Promoting AwaitingSwap                                  | Rechecking       | it looks worse than is tolerated, from too few moments to be sure: its calls are taken away
//	CanaryLost       | Preparing Stepping AwaitingApproval Promoting AwaitingSwap                                  | Preparing        | the canary has weight and no ready pod; again from the first step
//	CanaryDropped    | Promoting                                                                                   | Promoting        | the same, while the Deployment takes the revision itself
//	CanaryDropped    | HandingOver                                                                                 | HandingOver      | the same, when it is no longer needed
//	RollbackFinished | RollingBack                                                                                 | Idle             | weight zero is live, and the last calls have ended
//	RolloutRemoved   | Idle                                                                                        | None             | withdrawn; the canary is gone and the Deployment is given up
//	StableForgotten  | Idle                                                                                        | Idle             | the Deployment is gone
//	StableAdopted    | Idle                                                                                        | Idle             | what the Deployment runs is known, or all its pods are of another revision already
//	FailureCleared   | Idle                                                                                        | Idle             | the stable revision is asked for again after a failed one
//	RolloutStarted   | Idle                                                                                        | Preparing        | there is a new revision, and nothing keeps it
//	RolloutResumed   | Suspended                                                                                   | Preparing        | the first backend serves alone again; again from the first step
//	CanaryRechecked  | Rechecking                                                                                  | Preparing        | it had no calls for a while, and what it did before does not suffice; again from the first step
//	StepsChosen      | Preparing                                                                                   | Preparing        | the traffic was measured, and the spec has no steps
//	StepAltered      | Preparing Stepping AwaitingApproval                                                         | Preparing        | the spec has another weight for the step
//	StepDoubted      | Preparing Stepping AwaitingApproval                                                         | Preparing        | something speaks against a canary that is to get more, or has all calls; back by one step
//	StepStarted      | Preparing                                                                                   | Stepping         | the step's pods are ready: the weight rises
//	StepPassed       | Stepping                                                                                    | Stepping         | the evidence suffices: the verdict is recorded
//	ApprovalAwaited  | Stepping                                                                                    | AwaitingApproval | nothing but the approval is missing
//	StepAdvanced     | Stepping AwaitingApproval                                                                   | Preparing        | a verdict is on record, and no obstacle is in the way
//	PromotionStarted | Stepping AwaitingApproval                                                                   | Promoting        | the same, in the last step
//	Promoted         | Promoting                                                                                   | HandingOver      | all pods of the Deployment run the revision
//	SwapAwaited      | Promoting                                                                                   | AwaitingSwap     | the user's own canary has everything
//	Swapped          | AwaitingSwap                                                                                | HandingOver      | the first backend was changed to the revision
//	ShareHandedOver  | HandingOver                                                                                 | HandingOver      | the share was live for a while: the next is smaller
//	RolloutFinished  | HandingOver                                                                                 | Idle             | weight zero is live, and the last calls have ended
package rollout
