// Package v1alpha1 is the API of Headgate: the ExposedService, its status, and
// the table of conditions that it reports.
//
// Conventions: lists of named things are map lists, every bound is set, durations
// are GEP-2257 strings ("500ms", "30s"), and every rule that one object can decide
// is a CEL rule of the CRD, so that bad input is refused by the API server itself.
//
// +kubebuilder:object:generate=true
// +groupName=headgate.dev
package v1alpha1
