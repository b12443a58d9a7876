// Package exposure brings one ExposedService up to date: it decides who serves, makes the objects that carry the
// calls, has the Deployments of a rollout follow, and says in the status what became of it.
//
// It is level-triggered. Each run reads everything from caches, decides, writes the decision into the status
// before anything acts on it, follows it, and writes the rest of the status (reconcile.go lists the steps). A
// crash between any two writes is harmless: the next run finishes what the last one began. A run that finds
// nothing to do writes nothing. A failed apply becomes a condition in judge.go.
package exposure
