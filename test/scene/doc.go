// Package scene sets a stage on a real cluster for the demo and the end-to-end tests: sample
// applications as primary and backup, one ExposedService in front of them, live calls through
// Envoy, and the accidents that happen to them. Every wait is for a condition, with a deadline.
package scene
