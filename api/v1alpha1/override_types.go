package v1alpha1

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// OverrideKind is the kind of a generated object that can be overridden.
//
// +kubebuilder:validation:Enum=Gateway;EnvoyProxy;GRPCRoute;BackendTrafficPolicy;EnvoyPatchPolicy
type OverrideKind string

// The kinds of generated objects that can be overridden.
const (
	OverrideGateway              OverrideKind = "Gateway"
	OverrideEnvoyProxy           OverrideKind = "EnvoyProxy"
	OverrideGRPCRoute            OverrideKind = "GRPCRoute"
	OverrideBackendTrafficPolicy OverrideKind = "BackendTrafficPolicy"
	OverrideEnvoyPatchPolicy     OverrideKind = "EnvoyPatchPolicy"
)

// Override is merged into the generated object of its kind before that is applied. Which kinds may be overridden
// is the choice of the cluster's owners: by default GRPCRoute and BackendTrafficPolicy. The merge is
// a strategic merge where the kind's fields say how their lists merge, which for these kinds means:
// objects are merged field by field, lists are replaced, null removes a field.
//
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.rules)",message="patch.spec.rules must not be set: rules and backendRefs are Headgate's; use spec.rules and spec.backends of the ExposedService"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.parentRefs)",message="patch.spec.parentRefs must not be set: use spec.gateway of the ExposedService"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.hostnames)",message="patch.spec.hostnames must not be set: use spec.hostnames of the ExposedService"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.addresses)",message="patch.spec.addresses must not be set: an address belongs to the cluster; ask its owners for a Gateway with it, and name that in spec.gateway.parentRef"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || (!has(self.patch.spec.targetRef) && !has(self.patch.spec.targetRefs) && !has(self.patch.spec.targetSelectors))",message="patch.spec.targetRef, targetRefs and targetSelectors must not be set: a generated policy applies to what it was generated for; write a policy of your own for anything else"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.gatewayClassName)",message="patch.spec.gatewayClassName must not be set: use spec.gateway.className of the ExposedService"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.infrastructure) || !has(self.patch.spec.infrastructure.parametersRef)",message="patch.spec.infrastructure.parametersRef must not be set: override kind EnvoyProxy instead"
// +kubebuilder:validation:XValidation:rule="!has(self.patch.spec) || !has(self.patch.spec.jsonPatches)",message="patch.spec.jsonPatches must not be set: they carry the failover priorities; write an EnvoyPatchPolicy of your own beside it"
type Override struct {
	// Kind is the kind of the generated object.
	// +required
	Kind OverrideKind `json:"kind"`

	// Patch is what is merged: an object with metadata (labels and annotations only) and spec. Of a GRPCRoute it can set nothing in spec,
	// of an EnvoyProxy nothing that decides which programs run in the pods, as whom, and what they are given.
	//
	// +required
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Patch apiextensionsv1.JSON `json:"patch"`
}
