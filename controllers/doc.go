// Package controllers is the only place that writes to Kubernetes: it makes the world match what
// package gateway expands an ExposedService to, and reports what became of it.
//
// The exposure controller is level-triggered. Each run reads everything from caches, gathers facts,
// expands, refuses what is not its to touch, applies, prunes, judges, and writes the status once
// (exposure.go lists the steps). A crash between any two writes is harmless: the next run finishes
// what the last one began. A run that finds nothing to do writes nothing.
//
// The kinds controller watches CustomResourceDefinitions, because the kinds of Gateway API and Envoy
// Gateway may come and go while Headgate runs (kinds.go).
package controllers
