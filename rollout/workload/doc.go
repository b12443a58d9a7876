// Package workload works out what a rollout makes of a Deployment: the name of its revision, the canary's ReplicaSet, the sizes of the
// ReplicaSets of a Deployment that is held, and the few fields of the Deployment itself that Headgate owns. It reads objects and returns
// objects; it calls nobody.
package workload
