package peers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=flagger.app,resources=canaries,verbs=get;list;watch
// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts,verbs=get;list;watch

const kindDeployment = "Deployment"

// managedWorkload is how both name a Deployment.
type managedWorkload struct {
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
}

// FlaggerCanary is a Canary of Flagger.
type FlaggerCanary struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		TargetRef managedWorkload `json:"targetRef"`
	} `json:"spec"`
}

// FlaggerCanaryList is a list of them.
type FlaggerCanaryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []FlaggerCanary `json:"items"`
}

// ArgoRollout is a Rollout of Argo Rollouts.
type ArgoRollout struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		WorkloadRef *managedWorkload `json:"workloadRef,omitempty"`
	} `json:"spec"`
}

// ArgoRolloutList is a list of them.
type ArgoRolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ArgoRollout `json:"items"`
}

// Versions of the APIs of both.
var (
	FlaggerVersion = schema.GroupVersion{Group: "flagger.app", Version: "v1beta1"}
	ArgoVersion    = schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}
)

// AddToScheme adds their kinds to a scheme.
func AddToScheme(scheme *runtime.Scheme) {
	scheme.AddKnownTypeWithName(FlaggerVersion.WithKind("Canary"), &FlaggerCanary{})
	scheme.AddKnownTypeWithName(FlaggerVersion.WithKind("CanaryList"), &FlaggerCanaryList{})
	scheme.AddKnownTypeWithName(ArgoVersion.WithKind("Rollout"), &ArgoRollout{})
	scheme.AddKnownTypeWithName(ArgoVersion.WithKind("RolloutList"), &ArgoRolloutList{})
	metav1.AddToGroupVersion(scheme, FlaggerVersion)
	metav1.AddToGroupVersion(scheme, ArgoVersion)
}

// ManagedDeployment is the Deployment that an object of a peer manages, or nothing.
func ManagedDeployment(object client.Object) []string {
	var of managedWorkload
	switch o := object.(type) {
	case *FlaggerCanary:
		of = o.Spec.TargetRef
	case *ArgoRollout:
		if o.Spec.WorkloadRef != nil {
			of = *o.Spec.WorkloadRef
		}
	}
	if of.Kind != kindDeployment || of.Name == "" {
		return nil
	}
	return []string{types.NamespacedName{Namespace: object.GetNamespace(), Name: of.Name}.String()}
}

// DeepCopyObject implements runtime.Object.
func (c *FlaggerCanary) DeepCopyObject() runtime.Object {
	out := *c
	out.ObjectMeta = *c.ObjectMeta.DeepCopy()
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *FlaggerCanaryList) DeepCopyObject() runtime.Object {
	out := &FlaggerCanaryList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		if item, ok := l.Items[i].DeepCopyObject().(*FlaggerCanary); ok {
			out.Items = append(out.Items, *item)
		}
	}
	return out
}

// DeepCopyObject implements runtime.Object.
func (r *ArgoRollout) DeepCopyObject() runtime.Object {
	out := *r
	out.ObjectMeta = *r.ObjectMeta.DeepCopy()
	if r.Spec.WorkloadRef != nil {
		ref := *r.Spec.WorkloadRef
		out.Spec.WorkloadRef = &ref
	}
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *ArgoRolloutList) DeepCopyObject() runtime.Object {
	out := &ArgoRolloutList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		if item, ok := l.Items[i].DeepCopyObject().(*ArgoRollout); ok {
			out.Items = append(out.Items, *item)
		}
	}
	return out
}
