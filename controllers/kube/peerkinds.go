package kube

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What Headgate has to know of others that ship versions: which Deployment they manage. Neither leaves a mark
// on a Deployment that it has taken over, but that it was scaled, which may be long ago.

// +kubebuilder:rbac:groups=flagger.app,resources=canaries,verbs=get;list;watch
// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts,verbs=get;list;watch

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

type flaggerCanaryList struct {
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

type argoRolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ArgoRollout `json:"items"`
}

var (
	flaggerVersion = schema.GroupVersion{Group: "flagger.app", Version: "v1beta1"}
	argoVersion    = schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}
)

// addPeers adds their kinds to a scheme.
func addPeers(scheme *runtime.Scheme) {
	scheme.AddKnownTypeWithName(flaggerVersion.WithKind("Canary"), &FlaggerCanary{})
	scheme.AddKnownTypeWithName(flaggerVersion.WithKind("CanaryList"), &flaggerCanaryList{})
	scheme.AddKnownTypeWithName(argoVersion.WithKind("Rollout"), &ArgoRollout{})
	scheme.AddKnownTypeWithName(argoVersion.WithKind("RolloutList"), &argoRolloutList{})
	metav1.AddToGroupVersion(scheme, flaggerVersion)
	metav1.AddToGroupVersion(scheme, argoVersion)
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
	if of.Kind != KindDeployment.GVK.Kind || of.Name == "" {
		return nil
	}
	return []string{types.NamespacedName{Namespace: object.GetNamespace(), Name: of.Name}.String()}
}

// FirstName is the name of the first object of a list; empty: there is none.
func FirstName(list client.ObjectList) string {
	name := ""
	// The function fails for what is no list only.
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if object, ok := item.(client.Object); ok && (name == "" || object.GetName() < name) {
			name = object.GetName()
		}
		return nil
	})
	return name
}

// DeepCopyObject implements runtime.Object.
func (c *FlaggerCanary) DeepCopyObject() runtime.Object {
	out := *c
	out.ObjectMeta = *c.ObjectMeta.DeepCopy()
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *flaggerCanaryList) DeepCopyObject() runtime.Object {
	out := &flaggerCanaryList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
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
func (l *argoRolloutList) DeepCopyObject() runtime.Object {
	out := &argoRolloutList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		if item, ok := l.Items[i].DeepCopyObject().(*ArgoRollout); ok {
			out.Items = append(out.Items, *item)
		}
	}
	return out
}
