// Package deployments reads the Deployment that a rollout is about and its canary, and makes true what was
// decided about them: holds and releases the one, makes and sizes the other, takes back what Kubernetes has
// begun to roll out, watches tracked configuration, and asks webhooks. It decides nothing.
package deployments
