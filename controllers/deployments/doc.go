// Package deployments reads the Deployment that a rollout is about and its canary, and makes true what was
// decided about them: holds and releases the one, makes and sizes the other, takes back what Kubernetes has
// begun to roll out. It decides nothing.
//
// What is slow goes on beside those who decide, and wakes them: an Inspector reads pods and ReplicaSets, a
// ConfigTracker watches tracked configuration, Webhooks are asked.
package deployments
