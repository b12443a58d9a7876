// Package peers is what Headgate has to know of others that ship versions: which Deployment they manage. Neither
// leaves a mark on a Deployment that it has taken over, but that it was scaled, which may be long ago.
package peers
