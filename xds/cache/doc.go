// Package cache holds the xDS resources that Headgate serves, knows who subscribes to which, and
// says what each client has to be sent next.
//
// An owner (an ExposedService) is [Cache.Set] as a whole: its clusters, endpoints, listeners and
// routes change together or not at all. A [Client] is one stream. It tells the cache what it
// subscribes to and what it answered ([Client.Ack], [Client.Nack]), and takes one [Response] after the other until there is none.
// State of the world and incremental xDS are two ways to say the same; what differs is in
// [Protocol].
//
// # Words
//
// They are those of the xDS protocol (xds_protocol in Envoy's documentation):
//
//   - A client subscribes to resource names of a type, or to the wildcard "*", which asks for everything.
//   - A response holds resources, and has a nonce. The client's next request with that nonce is the ACK, or with an
//     error_detail the NACK. A response without either is in flight.
//   - In state of the world each request names all that the client subscribes to, and each response of clusters or listeners
//     lists all that there are (AllRequiredInSotW, as gRPC calls it). In incremental xDS both say what changed.
//
// And these are the cache's own:
//
//   - An [Entry] is a version of a resource: marshalled, and shared by all clients.
//   - An owner is whose resource it is: who is told when a client refuses it. Its holder is whom it was Set for. They differ where
//     several owners share one, such as the listener on a port.
//   - A topic is a name of a type: the entries that bear it, and who subscribes to it. A watch is a topic and a client. Its
//     states, and what is said in each, are in the table at actionOf.
//   - A cluster is cold while the client has acknowledged no version of it.
//
// # What the cache promises
//
//   - A resource is marshalled once, when it changes, and shared by all clients. Its version is a hash of its
//     content: equal on each replica, and the same again when the content is the same again.
//   - A change costs what its subscribers cost. Subscribers are found by the resource's name; neither
//     other clients nor the other names of a subscriber are looked at.
//   - Of each type a client has at most one response in flight, unless it answers nothing for long. Changes that it has not been
//     sent yet merge. An answer is never forgotten, and what a client subscribes to is what it said last (window.go).
//   - Clusters come before endpoints, those before listeners, those before routes. Listeners and routes
//     wait until new clusters of their owners are acknowledged, which is when Envoy has warmed them up; removals come last.
//     A cluster that is sent is followed by its endpoints.
//   - What a client refuses is not sent again before it changes. What was refused beside it, without being
//     blamed, is sent again once, without what is blamed.
//   - Nothing is served before [Cache.Synced].
//   - For each owner it is known how many clients use it and how many of them have acknowledged it ([Status]).
//
// Each method says whether Cache.mu has to be held; exported ones take it themselves.
//
// # Why not one of go-control-plane's caches
//
// SnapshotCache keeps a snapshot for each node, marshals each response for each node, answers a NACK
// with what was just refused, and its consistency check leaves requests without an answer that don't name everything.
// LinearCache shares what it marshals, but a change of one resource walks all names of each
// watch that has it, twice, with its lock held: 1000 clients of 1000 names cost about a second.
//
// Both are bound by an interface that lies below: in go-control-plane's stream server a watch ends with its
// response and is opened again by the acknowledgement, with the whole subscription as argument, one type at a
// time. So no cache under it can be independent of the number of names, or order one type after another, or wait for an
// acknowledgement. Package server therefore has its own streams, and this package is not a go-control-plane cache.
package cache
