// Package shop is a shop's cluster without kubelets and proxies, for tests of the operator on an API server alone: its Services,
// EndpointSlices and Deployments, what the cluster's controllers do with them, and what its proxies count.
package shop
