// Package e2e tests the promises of Headgate on a real cluster, with a real Envoy Gateway, a real
// Envoy and live gRPC calls, each of which is counted. `make test-e2e` and `make test-long` run it on a local cluster;
// without a cluster its tests are skipped.
package e2e
