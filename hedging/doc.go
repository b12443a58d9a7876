// Package hedging decides after which time without an answer a call that may run twice gets a second attempt beside the first.
//
// A second attempt saves the calls that are in flight on an endpoint that freezes. It is also a load of its own: a delay that is shorter
// than calls take doubles the calls to backends that are slow already. So the delay follows how long calls take.
package hedging
