// Package stripped takes out of objects what nobody here reads, before they go into the cache. The cache holds
// every EndpointSlice and Service of the cluster: what is left of them decides how much memory Headgate needs.
package stripped
