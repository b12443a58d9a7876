// Package controllers wires what runs on a replica: the controller of ExposedServices (exposure), the feed of
// Headgate's own xDS (xdsfeed), the controller that follows the cluster's kinds (kube), and what works beside
// them. It and its subpackages are the only place that writes to Kubernetes.
//
//	exposure     one ExposedService: decide, follow, judge
//	deployments  the Deployments of a rollout follow the decision
//	xdsfeed      what is served over xDS, and what clients make of it
//	calls        counts the calls of backends beside the reconciler
//	facts        what is known of backends
//	index, refs  from a changed object to those that it matters to; what a spec refers to
//	kube         kinds, reads, applies, ownership, events
//	metrics      what is told about all of it
//	certificates the certificates of the xDS server
//
// Imports point one way: controllers, exposure and xdsfeed, {deployments, calls, facts}, {index, refs}, kube,
// metrics.
package controllers
