// Package live keeps what is promised to the clients of Headgate's own xDS under the calls of twenty workers: with a real
// Envoy and with gRPC's own client, the xDS server with its certificates, and pods that are processes, which can be
// killed and frozen. What needs Kubernetes is in test/e2e.
package live
