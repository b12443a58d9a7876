// Package calls counts calls beside the reconciler: those of all backends, for failover, and those of canary and
// stable, for rollouts. It says whose calls are to be counted and where, asks the source, and keeps what was
// counted until a decision takes it.
package calls
