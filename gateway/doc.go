// Package gateway turns an ExposedService, together with facts about the cluster, into the
// objects that carry its traffic: for Envoy Gateway one cluster of Envoy whose endpoints change
// and nothing else, for any other implementation of Gateway API a plain GRPCRoute. It is pure:
// the same input gives the same objects, and nothing is read or written.
package gateway
