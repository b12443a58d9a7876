// Package xdsfeed keeps what is served over xDS as the ExposedServices, the decisions in their statuses and the
// endpoints of their backends have it, and reports what clients make of it. It runs on every replica, decides
// nothing, and writes nothing but its own part of status.xds.
package xdsfeed
