package workload

import (
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	// AnnotationCanaryOf says of a ReplicaSet that Headgate has made it as a canary: its value is the name of the ExposedService. On a pod
	// template it keeps Kubernetes from taking the ReplicaSet for the new one of the Deployment.
	AnnotationCanaryOf = "headgate.dev/canary-of"
	// AnnotationStandInOf says of a ReplicaSet that it stands in for a canary: its value is the name of the ExposedService.
	AnnotationStandInOf = "headgate.dev/stand-in-of"
	// annotationNumber is the number that the Deployment's controller gives its new ReplicaSet: one more than all others have.
	annotationNumber = "deployment.kubernetes.io/revision"
	// AnnotationDesired and AnnotationMost are notes of the Deployment's controller on its ReplicaSets: the Deployment's size, and that with
	// surge.
	AnnotationDesired = "deployment.kubernetes.io/desired-replicas"
	AnnotationMost    = "deployment.kubernetes.io/max-replicas"
)

// Canary is the ReplicaSet of the Deployment's pod template: as Kubernetes would make it, with another hash. It belongs to the owner, and has
// no pods; or to the Deployment if that is nil, and has one: one without Kubernetes may delete.
func Canary(d *appsv1.Deployment, hash, exposedService string, owner *metav1.OwnerReference) *appsv1.ReplicaSet {
	out := ofTemplate(d, d.Name+"-"+hash, hash)
	out.Annotations[AnnotationCanaryOf] = exposedService
	if owner != nil {
		out.OwnerReferences = []metav1.OwnerReference{*owner}
	} else {
		out.Spec.Replicas = ptr.To[int32](1)
	}
	return out
}

// StandIn is a ReplicaSet without pods that Kubernetes takes for the new one of the Deployment in the place of the canary: of several with the
// same pod template it takes the oldest, and of those that are as old that with the first name. Otherwise the canary would be complete as soon
// as it has as many pods as the Deployment is to have, as after a scaling down, and Kubernetes would take all pods from stable. If somebody
// resumes the Deployment, its pods have the canary's hash.
func StandIn(d *appsv1.Deployment, hash, exposedService string) *appsv1.ReplicaSet {
	// No hash comes before this.
	out := ofTemplate(d, d.Name+"-00-"+hash, hash)
	out.Annotations[AnnotationStandInOf] = exposedService
	return out
}

func ofTemplate(d *appsv1.Deployment, name, hash string) *appsv1.ReplicaSet {
	template := *d.Spec.Template.DeepCopy()
	template.Labels = with(template.Labels, LabelTemplateHash, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = with(selector.MatchLabels, LabelTemplateHash, hash)
	return &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: d.Namespace, Labels: maps.Clone(template.Labels), Annotations: Notes(d),
			OwnerReferences: []metav1.OwnerReference{OwnedBy(d)},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](0), MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: template,
		},
	}
}

// OwnedBy is the Deployment as the owner of a ReplicaSet. It does not block its deletion, which would ask for more rights.
func OwnedBy(d *appsv1.Deployment) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: d.Name, UID: d.UID, Controller: ptr.To(true),
	}
}

// Anew is a ReplicaSet to be made again after it was deleted: the same version, without pods.
func Anew(set *appsv1.ReplicaSet) *appsv1.ReplicaSet {
	template := *set.Spec.Template.DeepCopy()
	template.Annotations = without(template.Annotations, AnnotationCanaryOf)
	return &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: set.Name, Namespace: set.Namespace, Labels: maps.Clone(set.Labels), Annotations: maps.Clone(set.Annotations),
			OwnerReferences: set.OwnerReferences,
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](0), MinReadySeconds: set.Spec.MinReadySeconds, Selector: set.Spec.Selector.DeepCopy(),
			Template: template,
		},
	}
}

// SameTemplate says whether Kubernetes takes two pod templates for the same version: they are equal but for the hash.
func SameTemplate(a, b *corev1.PodTemplateSpec) bool {
	return equality.Semantic.DeepEqual(withoutHash(a), withoutHash(b))
}

// SameVersion says whether two pod templates are the same version to Headgate, whose mark one of them may have.
func SameVersion(a, b *corev1.PodTemplateSpec) bool {
	return SameTemplate(withoutMark(a), withoutMark(b))
}

// IsMarked says whether Kubernetes is kept from taking a ReplicaSet for the new one of the Deployment.
func IsMarked(set *appsv1.ReplicaSet) bool {
	_, marked := set.Spec.Template.Annotations[AnnotationCanaryOf]
	return marked
}

// IsRestart says whether a pod template differs from another one by the time of a `kubectl rollout restart` alone.
func IsRestart(of, template *corev1.PodTemplateSpec) bool {
	a, b := of.Annotations[annotationRestarted], template.Annotations[annotationRestarted]
	return b != "" && a != b && SameButRestart(of, template)
}

// SameButRestart says whether two pod templates are equal but for the time of a restart, and for the configuration.
func SameButRestart(a, b *corev1.PodTemplateSpec) bool {
	return SameTemplate(withoutRestart(a), withoutRestart(b))
}

// annotationRestarted is what `kubectl rollout restart` sets.
const annotationRestarted = "kubectl.kubernetes.io/restartedAt"

func withoutHash(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	out := *template
	out.Labels = without(template.Labels, LabelTemplateHash)
	return &out
}

func withoutMark(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	out := *template
	out.Annotations = without(template.Annotations, AnnotationCanaryOf)
	return &out
}

// withoutRestart also leaves out what Headgate puts on a template.
func withoutRestart(template *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	out := *withoutMark(template)
	out.Annotations = without(without(out.Annotations, annotationRestarted), AnnotationConfig)
	return &out
}

// HashOf is the hash that a ReplicaSet's pods have.
func HashOf(set *appsv1.ReplicaSet) string { return set.Labels[LabelTemplateHash] }

// Find is the ReplicaSet that Kubernetes takes for that of the pod template: the oldest one of it; nil: there is none.
func Find(template *corev1.PodTemplateSpec, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	return oldest(template, sets, SameTemplate)
}

// FindVersion is the oldest ReplicaSet of the pod template, marked or not; nil: there is none.
func FindVersion(template *corev1.PodTemplateSpec, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	return oldest(template, sets, SameVersion)
}

func oldest(template *corev1.PodTemplateSpec, sets []*appsv1.ReplicaSet, same func(a, b *corev1.PodTemplateSpec) bool) *appsv1.ReplicaSet {
	var out *appsv1.ReplicaSet
	for _, set := range sets {
		if (out == nil || older(set, out)) && same(template, &set.Spec.Template) {
			out = set
		}
	}
	return out
}

// IsTaken says whether the Deployment's controller has taken a ReplicaSet for its new one: it has the highest number of all.
func IsTaken(set *appsv1.ReplicaSet, sets []*appsv1.ReplicaSet) bool {
	n := Note(set, annotationNumber)
	return n > 0 && !slices.ContainsFunc(sets, func(other *appsv1.ReplicaSet) bool {
		return other != set && Note(other, annotationNumber) >= n
	})
}

// Latest is the ReplicaSet that Kubernetes gives all pods when a Deployment comes back from none: that of its pod template, and otherwise
// the newest one; nil: there is none.
func Latest(template *corev1.PodTemplateSpec, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	out := Find(template, sets)
	if out != nil {
		return out
	}
	for _, set := range sets {
		if out == nil || older(out, set) {
			out = set
		}
	}
	return out
}

// older orders ReplicaSets as Kubernetes does.
func older(a, b *appsv1.ReplicaSet) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// Note is a note of the Deployment's controller on a ReplicaSet; -1: it has none.
func Note(set *appsv1.ReplicaSet, key string) int32 {
	n, err := strconv.ParseInt(set.Annotations[key], 10, 32)
	if err != nil || n < 0 {
		return -1
	}
	return int32(n)
}

func number(n int32) string { return strconv.FormatInt(int64(n), 10) }

// Notes are the annotations from which the Deployment's controller reads that a size is meant for the Deployment as it is.
func Notes(d *appsv1.Deployment) map[string]string {
	surge, _ := Bounds(d)
	size := ptr.Deref(d.Spec.Replicas, 1)
	return map[string]string{AnnotationDesired: number(size), AnnotationMost: number(size + surge)}
}

func with(in map[string]string, key, value string) map[string]string {
	out := maps.Clone(in)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

// without is a copy; empty ones are nil, as the API server has them.
func without(in map[string]string, key string) map[string]string {
	out := maps.Clone(in)
	delete(out, key)
	if len(out) == 0 {
		return nil
	}
	return out
}
