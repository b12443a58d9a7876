// Package discovery keeps track of which optional kinds the cluster has: when one comes, it is watched from then on,
// and every ExposedService is looked at again. It writes nothing, and runs on every replica.
package discovery
