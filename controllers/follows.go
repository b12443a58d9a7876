package controllers

import "github.com/headgate/headgate/api/v1alpha1"

// followsGateway: the ExposedService asks for a Gateway, and the cluster has the kinds for it.
func (r *exposureReconciler) followsGateway(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Gateway != nil && r.kinds.gatewayAPI()
}

// followsAny: there is a data plane that can follow a decision.
func (r *exposureReconciler) followsAny(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.XDS != nil || r.followsGateway(exs)
}
