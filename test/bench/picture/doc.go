// Command picture draws one whole rollout of a good version for the documentation. Nothing in it is drawn by hand: rollout.Decide ships the
// version, as the product calls it, to a simulated Deployment and the callers of test/bench/judge, second by second.
//
//	picture -out FILE
package main
