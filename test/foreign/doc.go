// Package foreign has gRPC clients in other languages than Go, for the tests in test/live: the C core, by Python's wheel, and Java. Each
// finds a service over xDS by the bootstrap in GRPC_XDS_BOOTSTRAP, and calls it until its standard input ends.
//
// hack/foreign.sh fetches what they need.
package foreign
