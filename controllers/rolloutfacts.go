package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
)

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete

// rolloutScope is what one run knows of a rollout.
type rolloutScope struct {
	// deployment is the user's; nil: it does not exist, or the canary is a Service of the user's own.
	deployment *appsv1.Deployment
	// canary is the canary Deployment; nil: it does not exist.
	canary *appsv1.Deployment
	// off: Headgate has no rights to Deployments.
	off bool
	// rival is who else manages the Deployment; nil: nobody.
	rival *rival
	// config is that of the revision, with trackConfig.
	config trackedConfig
	// intents are what is to be made true.
	intents rollout.Intents
}

// readCanary reads the Service of the canary, with its endpoints, as that of a backend.
func (r factReader) readCanary(ctx context.Context, s *scope) error {
	if s.exs.Status.Rollout == nil {
		return nil
	}
	service := canaryService(s.exs)
	if service == nil {
		return nil
	}
	facts, err := r.readService(ctx, s, &v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: service})
	if err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	s.facts.Canary, s.facts.Backends[v1alpha1.CanaryName] = service, facts
	return nil
}

// readRollout reads both Deployments, and who else rolls out the first.
func (r *exposureReconciler) readRollout(ctx context.Context, s *scope) error {
	name := workloadOf(s.exs)
	if name.Name == "" {
		return nil
	}
	if s.rollout.off = !r.kinds.has(kindDeployment); s.rollout.off {
		return nil
	}
	var err error
	if s.rollout.deployment, err = get[appsv1.Deployment](ctx, r.client, name); err != nil {
		return err
	}
	if s.rollout.canary, err = get[appsv1.Deployment](ctx, r.client, canaryKey(name)); err != nil {
		return err
	}
	if s.rollout.rival, err = r.rivalFor(ctx, s.exs, s.rollout.deployment, name); err != nil {
		return err
	}
	r.readConfig(s) //nolint:contextcheck // watches outlive the run
	return nil
}
