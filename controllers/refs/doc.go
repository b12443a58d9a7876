// Package refs says what an ExposedService refers to, by name: Services, Gateways, namespaces, the Deployment
// that it rolls out, and the calls that it claims of a Gateway. It is pure.
package refs
