// Package judge decides from counts of calls: is a canary worse than stable (roll back), is it surely good enough for more calls
// (advance), is neither known yet (hold); and is one backend's error rate above a bound. The package is pure: no clock, no input or
// output, state in and state out.
//
// # One example in numbers
//
// In ten seconds a canary had 100 calls and stable 900. Three calls failed, two of them the canary's. A canary that fails 1.5 times as
// often as stable is tolerated. Of such a canary a failed call is the canary's with probability
//
//	1.5*100 / (1.5*100 + 900) = 0.143
//
// and of one that fails ten times as often with 10*100 / (10*100 + 900) = 0.526. Each failed call is a bet at those odds: one of the
// canary's multiplies a stake by 0.526/0.143 = 3.7, one of stable's by 0.474/0.857 = 0.55. After these three calls the stake is
// 3.7 * 3.7 * 0.55 = 7.5: the evidence is "7.5 : 1 against the canary", or 2.0 nats, its natural logarithm. The next ten seconds
// multiply what is there then. What both sides share (an outage, the time of day, a changed split) changes how many calls fail and not
// whose they are.
//
// Nobody can win at fair bets on the average. So a stake that begins at 1 ever reaches 100 with a probability of at most 1/100, if the
// canary is tolerable: this is Ville's inequality, and such a stake is called an e-process. It may be looked at after each call, and acted upon
// at once. Nobody knows beforehand how much worse a canary is, so the stake is divided: among ratios from 1.9 to 821, and
// among the times at which it may begin. For a proof the bet is turned around: see lessThan. Without any error it is the rule of three: n calls
// prove less than a rate D with e^(nD) : 1.
//
// # What is asked, and of what
//
//	alarm    each tick, at once: does the canary look worse? Its calls are taken away, and nothing is decided yet (Suspect)
//	verdict  each block of ten seconds, when what happened around it is known: is it worse? (RollBack)
//	gates    each block: is it good enough for a larger share? (Advance)
//
// Errors are not independent calls: they come in clumps, of one pod or one moment. A block is one event, so that none of them
// moves the verdict by more than a quarter of its way, and the threshold grows with what the pods of stable differ among themselves (spread).
//
// A proof is in proportion to what is at stake (Margin.At). With a tenth of the calls ten times as much may be unproved: as many callers
// are harmed. There is a process for each share that is to come, all from the first call on, and a small part that each step brings for itself.
//
// Who is beyond the margin of all calls is promoted with a probability of at most Beta, since its process reaches 1/Beta with no larger
// one. Who is within what is tolerated reaches the threshold of the verdict with at most Alpha. Both hold for independent calls at any load, split and
// common error rate. For clumps there are the experiments in test/bench/judge.
package judge
