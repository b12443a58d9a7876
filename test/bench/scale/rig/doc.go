// Package rig runs one headgate binary as a black box beside a real API server, and measures what it does: its requests as the
// API server's audit log has them, and its processor time and memory as the kernel has them. What the rest of a cluster would do
// is played: package-wide, Envoy Gateway is a DataPlane, and users with their pods are a Fleet.
//
// It needs etcd and kube-apiserver in the folder that KUBEBUILDER_ASSETS names, and Linux.
package rig
