// Package resource turns an ExposedService, the decision in its status and the endpoints of its backends
// into xDS resources: for Envoys that somebody else runs, and for gRPC clients without a proxy. It is
// pure: the same input gives the same bytes, on every replica, in whatever order it comes.
//
// [Build] makes everything at once. Who follows changes calls its parts: [Conflicts] when a spec has changed,
// [Service] when anything of one ExposedService has, its endpoints among that, and [Port] when the decision or
// the spec of one of those has that share a port of Envoy.
//
// # What there is
//
// For ExposedService shop/greeter on port 9090:
//
//	Cluster, ClusterLoadAssignment  shop/greeter            every backend, in the order of the spec
//	                                shop/greeter/<backend>  a backend or canary with a share of its own, then the others
//	                                shop/greeter/Green      the slot Green of the first backend, then the others
//	Listener                        shop/9090               where Envoys take calls
//	                                greeter.shop            where gRPC clients do, that dial xds:///greeter.shop
//	                                greeter.example.com     the same for each host name that is no wildcard
//	RouteConfiguration              shop/9090               a virtual host for each ExposedService on that port
//	                                shop/greeter            for gRPC clients, under whichever name
//
// Every cluster has an assignment, also without a single endpoint: a client would wait for it 15 seconds.
//
// # How a decision is said
//
// Each backend is a priority of the main cluster, in the order of the spec, whoever serves. Which of them
// does is said by the EDS health of the endpoints alone, because that is the one thing that can change under traffic
// without a host changing its place:
//
//	HEALTHY    the backend that serves, and those behind it, to which clients turn by themselves when it has no
//	           healthy endpoint left
//	DEGRADED   a backend before it that is held back but stands by as a net (weight 1 of 1,000,000), or is the
//	           decision's fallback; one behind it that the fallback was preferred to. Envoy uses it when
//	           nothing is healthy at any priority
//	UNHEALTHY  a backend before it that is to get nothing; an endpoint that is not ready
//	DRAINING   an endpoint that is going away. Envoy does not count it, so that a planned end is no failure
//
// When that leaves no endpoint HEALTHY, the next best are made so: nets, then whoever is ready, then who is going
// away and still answers. gRPC clients know HEALTHY only, so for them this is how a net is found; and a decision
// that nobody is there to change must not stand between calls and a ready endpoint.
//
// Shares are weights of clusters. Whoever has a share beside the serving backend has a cluster in which it
// comes first and the main cluster's backends after it, as they are there: a backend that is handed back to or tried, and a canary,
// whose calls so find the stable side when it dies. The main cluster says the same during the whole of a ramp, from
// which the calls are taken by the route's weights and nothing else; it changes when the ramp
// is over. The alternative, a cluster for each backend and none in common, was left because of two moments.
// At the start of a ramp one EDS update would make the recovering backend healthy in the cluster that still
// has all the calls, and send all of them there until the routes arrive. And where the route names the serving
// backend's cluster, each switch is a change of routes, which needs new clusters to be warm first.
//
// A share's cluster is there before its first call: for a net, which may be handed back to next; for the
// fallback where failing calls count, which may be tried; for a canary with weight 0. Envoy has then checked
// its endpoints. For gRPC clients a route that takes no call names it, since they get only what a route
// names, and grpc-go fails calls that meet a cluster in the moment in which a route first names it.
//
// # Slots
//
// Where a workload is rolled out, the first backend has two places, and its versions take turns in them. Each slot is
// a locality (Blue is called as the backend, Green is called Green) and has a cluster in which it comes first: for Blue that
// is shop/greeter. The other slot comes second, and then the others in the order of the spec, always, with endpoints or without. The
// slot of the stable version is served as above: its cluster is the main one. The canary's cluster is that of a share, in which the stable
// version comes second, to which calls turn when the canary dies. A promotion changes which of both is called the main one, and
// nothing else: the route names the same cluster, and no endpoint is anywhere else than before. In the main cluster the canary's slot is
// empty, except while it is promoted, when the stable version may lose its last endpoint before its last call. In the clusters of
// other shares both slots come in the order Blue, Green, and that of the canary is empty.
//
// # Rules of both kinds of client
//
// gRPC refuses an assignment that has a locality without a name, a gap in the priorities, an address twice or a weight of
// 0; and passes over a locality without a weight. Envoy takes all of that, and forgets a host (its
// connections and what it knows of its health) of which the locality or the question whether it is checked
// changes. Hence:
//
//   - Each backend is one locality, named after it in the zone, and keeps its priority when it is empty. To leave it out would
//     move all hosts behind it to another priority, and back.
//   - An address belongs to the first backend of the spec that has it, whatever the decision. A pod with an
//     address in each family is one endpoint with an additional address.
//   - Endpoints that cannot be checked (their pods declare no gRPC probe, or another service) are exempt one by
//     one; the others are checked all the same.
//
// # Failing over
//
// The overprovisioning factor keeps all calls at a priority while spec.failover.minReadyPercent of its
// endpoints are healthy (with the default: any). The panic threshold of 1 % sends calls to endpoints that fail their check only when
// none passes it. Health changes act at once (update_merge_window 0). Retries go to the next priority and to another host, within a budget that a
// failover does not exhaust. Active checks run at the same pace on backups, which no call has warmed up. Outlier
// detection is off unless asked for, because it ejects the backup with the primary, and then may eject everything.
//
// gRPC clients fail over when no endpoint of a priority is READY. They have no active checks, count no failures in a row,
// and retry codes only; what they do not know is left out of what is theirs or is ignored by them.
//
// # What the server has to keep
//
//   - New clusters and assignments before the listeners and routes that name them, and those only after the clusters were
//     acknowledged: Envoy does that when they are warm. Removals last.
//   - A gRPC client may hold a cluster for as long as a call has it, after its routes have left it. It should not be
//     told of the removal before it unsubscribes, or be started with ignore_resource_deletion (gRFC A53).
//   - An Envoy belongs to one namespace: the listeners of two may have the same port.
package resource
