// Package bootstrap makes what an Envoy or a gRPC client starts with to get its configuration from Headgate: where
// its servers are, who it is, and which files hold its certificates. It is pure.
//
// Certificates are named by path and followed, because they are renewed more often than Envoys and clients start. An
// Envoy does so only for certificates that it gets as secrets (SDS), so its bootstrap comes with two files that
// are nothing but that: [EnvoyFiles].
package bootstrap
