// Package cache holds the xDS resources that Headgate serves, knows who subscribes to which, and
// says what each client has to be sent next.
//
// An owner (an ExposedService) is [Cache.Set] as a whole: its clusters, assignments, listeners and
// routes change together or not at all. A [Client] is one stream. It tells the cache what it
// subscribes to and how it answered, and takes one [Push] after the other until there is none.
// State of the world and incremental xDS are two ways to say the same; what differs is in
// [Protocol].
//
// What the cache promises:
//
//   - A resource is marshalled once, when it changes, and shared by all clients. Its version is a hash of its
//     content: equal on each replica, and the same again when the content is the same again.
//   - A change costs what its subscribers cost. Subscribers are found by the resource's name; neither
//     other clients nor the other names of a subscriber are looked at. Changes that a client has not been
//     sent yet merge.
//   - Clusters come before assignments, those before listeners, those before routes. Listeners and routes
//     wait until new clusters are acknowledged, which is when Envoy has warmed them up; removals come last.
//     The version of an assignment covers the clusters that use it, so that it is sent again after them.
//   - What a client refuses is not sent again before it changes. What was refused beside it, without being
//     at fault, is sent again once, without what is at fault.
//   - Nothing is served before [Cache.Synced].
//   - For each owner it is known how many clients use it and how many of them have acknowledged it ([Status]).
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
