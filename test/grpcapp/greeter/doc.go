// Package greeter is the API of the sample application: helloworld.Greeter as gRPC's
// own examples have it, extended with a server-streaming method and with replies
// that say which pod and version answered.
//
// The *.pb.go files are generated: run `go generate` in this folder after a change
// of helloworld.proto. It needs the Go tool and its module proxy, nothing else.
package greeter

// Response metadata keys. They are sent in the headers of each answer; an error
// answered with trailers only carries them in its trailers.
const (
	// PodHeader carries the name of the pod that answered.
	PodHeader = "x-pod-name"
	// VersionHeader carries the version of the application that answered.
	VersionHeader = "x-app-version"
)
