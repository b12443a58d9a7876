// Package server serves the resources of package cache to Envoys and gRPC clients: aggregated
// discovery (ADS), state of the world and incremental, over gRPC with mutual TLS. It runs on each replica, needs no
// leader, and keeps nothing that the cache does not have.
//
// # Who may read what
//
// A client is what its certificate says. A workload has one URI name of the form
// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` and reads the resources of its own
// namespace: the scheme of Istio and of SPIFFE's controllers for Kubernetes, so that certificates which are
// there already will do, and one that cannot collide with a host's name, as a DNS name of our own could.
// Names in [Config.ReadAll], URI or DNS, may read all namespaces: for gateways that serve
// more than one. Resources of other namespaces do not exist for a client.
//
// The first request of a stream must name the node. Its id is for people. Its cluster, `<namespace>` or
// `<namespace>/<name>`, says what an Envoy means by everything. Later requests cannot change it.
//
// Services that [Config.Register] adds are served to the same clients within the same limits, and end with the
// replica. They ask [IdentityOf] who calls, which may also be another replica: one that has the server's own key.
//
// # What a client may take
//
// [Limits] bound connections, streams and bytes, in all and for each identity, so that no client notices another. A stream is two
// goroutines: one takes what the client says, the other sends. A client that does not read stops neither others nor itself.
//
// # Why streams of its own
//
// go-control-plane's stream server asks its cache again for each type after each acknowledgement, with the whole
// subscription, and orders nothing across types; its incremental streams hand the node to the
// callbacks after they were called; a type that its cache does not know ends the stream. What a client's
// stream has to do is little ([session]), and is done here once for both variants of the protocol.
package server
