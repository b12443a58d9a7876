// Package kube is how Headgate reads and writes Kubernetes, whatever it is for: the kinds that it knows and
// which of them the cluster has, reads that see what was written, whose an object is, server-side apply that
// writes nothing when nothing has changed, and events. It knows an ExposedService as the owner of objects only.
package kube
