// Package workload builds what a rollout makes of a Deployment: the name of its revision, the canary Deployment and Service, and the
// few fields of the Deployment itself that Headgate owns. It reads objects and returns objects; it calls nobody.
package workload
