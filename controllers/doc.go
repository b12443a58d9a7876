// Package controllers wires what runs on a replica: the controller of ExposedServices (exposure), the feed of
// Headgate's own xDS (xdsfeed), the controller that follows the cluster's kinds (discovery), and what works beside
// them. It and its subpackages are the only place that writes to Kubernetes.
//
//	exposure     one ExposedService: decide, follow, judge
//	report       says in the status, and in events, what was decided and what became of it
//	deployments  the Deployments of a rollout follow the decision
//	xdsfeed      what is served over xDS, and what clients make of it
//	calls        counts the calls of backends beside the reconciler
//	facts        what is known of backends
//	clusterips   which addresses are those of the cluster itself
//	index, refs  from a changed object to those that it matters to; what a spec refers to
//	kube         kinds, reads, applies, ownership, events
//	stripped     what the caches keep of objects
//	discovery    which optional kinds the cluster has
//	peers        what others that ship versions manage
//	queue        work beside the controllers, and wake-ups of them
//	metrics      what is told about all of it
//	certificates the certificates of the xDS server
//
// Imports point one way: controllers, exposure, report, xdsfeed, {deployments, calls, facts}, {index, refs},
// {stripped, discovery, clusterips}, kube, {metrics, queue, peers}.
package controllers
