// Package failover decides which backend serves: it fails over fast, recovers slowly, never flaps and never makes it worse.
//
// Decide is a pure function of the spec, the previous status, what was observed and the time. It remembers everything in the
// status it returns, so that a restart between any two looks changes nothing. A look goes through four steps, each in the files
// named after it:
//
//	health    what is wrong with each backend, and whether it is up: faults take it down at once, time brings it back
//	choose    which backend should serve, by a list of rules of which the first that applies decides
//	move      how to get there from where we are, by another such list: at once, along the ramp, or not yet
//	record    what it comes to: weights, the fallback, and a decision with its reason for every change
//
// A backend that fails its calls is tried against the next one first (trial). What the trial shows of an overload is in overload, and
// from whom calls are kept back after it in keptback.
//
// One word for one thing: a backend is up or down (its standing); it is alive while it has a ready endpoint and dead when it is
// known to have none; it is seen in a look that tells about it. The active backend serves; a ramp hands its calls to another.
// A switch is a change of the active backend that the signals caused, or a hand-back that was broken off. Deciding against the
// signals is people's privilege: pins and changes of the spec are not counted as switches, and nothing bounds them.
package failover
