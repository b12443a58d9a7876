// Package judge decides from counts of calls: is a canary worse than stable (roll back), is it surely not worse (advance), is
// neither known yet (hold); and is one backend's error rate above a bound.
//
// All its tests are e-processes: bets against the hypothesis "nothing is wrong" that cannot gain in the mean while it holds.
// Ville's inequality then bounds the probability that such a bet ever reaches 1/alpha by alpha, however often one looks, so a
// decision may be taken at every tick. The package is pure: no clock, no input or output, state in and state out.
package judge
