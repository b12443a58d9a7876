// Package tenancy has people who may edit one namespace try to reach what is somebody else's, on a real API server with what the Helm chart
// installs by default. Each attempt names what stops it: the rights of the role edit (RBAC), the rules of a kind (CRD), an admission policy
// (Policy), or the operator, which says so in a condition and makes nothing of it.
//
// Nothing here is part of the product.
package tenancy
