package workload

import (
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Plan is the canary that is to be.
type Plan struct {
	// Owner is the name of the ExposedService, in the Deployment's namespace.
	Owner string
	// Revision is the one that the canary is to run, and Config the hash of the configuration in it, if any.
	Revision, Config string
	// Replicas is how many pods it is to have.
	Replicas int32
	// Live is the canary as it is, if there is one: the label that sets it apart stays, because a selector cannot be changed.
	Live *appsv1.Deployment
	// Others are the selectors that must not catch its pods: those of all Services and PodDisruptionBudgets of the namespace but
	// the canary's own.
	Others []Selector
}

// CanaryName is the name of a Deployment's canary, and of the canary's Service.
func CanaryName(deployment string) string { return deployment + suffix }

// Canary is the canary Deployment: the Deployment's pod template, under labels that set its pods apart. It is replaced, not rolled: its
// template only changes while it has no calls, and its ready pods are of one revision that way.
//
// It fails when the Deployment's pod template is not the one of the plan: one of them is older than the other, and a look later they
// agree.
func Canary(deployment *appsv1.Deployment, plan Plan) (*appsv1.Deployment, error) {
	have, err := Revision(&deployment.Spec.Template, plan.Config)
	if err != nil {
		return nil, fmt.Errorf("name the revision of Deployment %s: %w", deployment.Name, err)
	}
	if have != plan.Revision {
		return nil, fmt.Errorf("Deployment %s has revision %s, and its canary is to have %s", deployment.Name, have, plan.Revision)
	}
	key, value, err := Distinguish(deployment, plan.Live, plan.Others)
	if err != nil {
		return nil, err
	}
	template := deployment.Spec.Template.DeepCopy()
	template.Labels[key] = value
	delete(template.Annotations, AnnotationConfig)
	if plan.Config != "" {
		if template.Annotations == nil {
			template.Annotations = map[string]string{}
		}
		template.Annotations[AnnotationConfig] = plan.Config
	}
	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{
			Name: CanaryName(deployment.Name), Namespace: deployment.Namespace, Labels: ownLabels(plan.Owner, deployment.Namespace),
		},
		Spec: appsv1.DeploymentSpec{
			Replicas:                &plan.Replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: canarySelector(deployment, key, value)},
			Template:                *template,
			Strategy:                appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			MinReadySeconds:         deployment.Spec.MinReadySeconds,
			ProgressDeadlineSeconds: deployment.Spec.ProgressDeadlineSeconds,
			RevisionHistoryLimit:    ptr.To[int32](0),
		},
	}, nil
}

// Kept is the canary as it is, with another number of pods: for a canary whose revision is no longer the Deployment's.
func Kept(canary *appsv1.Deployment, replicas int32) *appsv1.Deployment {
	out := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: canary.Name, Namespace: canary.Namespace, Labels: maps.Clone(canary.Labels)},
		Spec:       *canary.Spec.DeepCopy(),
	}
	out.Spec.Replicas = &replicas
	return out
}

// Service is the canary's Service: the port of the user's Service, in front of the canary's pods.
func Service(service *corev1.Service, port v1alpha1.PortNumber, canary *appsv1.Deployment) (*corev1.Service, error) {
	for i := range service.Spec.Ports {
		p := service.Spec.Ports[i]
		if p.Port != int32(port) {
			continue
		}
		p.NodePort = 0
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
		return &corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Service"},
			ObjectMeta: metav1.ObjectMeta{Name: canary.Name, Namespace: canary.Namespace, Labels: maps.Clone(canary.Labels)},
			Spec: corev1.ServiceSpec{
				Selector: maps.Clone(canary.Spec.Selector.MatchLabels), Ports: []corev1.ServicePort{p},
				IPFamilyPolicy: service.Spec.IPFamilyPolicy, IPFamilies: service.Spec.IPFamilies,
			},
		}, nil
	}
	return nil, fmt.Errorf("Service %s has no port %d", service.Name, port)
}

// canarySelector is the Deployment's, with the value that sets the canary apart.
func canarySelector(deployment *appsv1.Deployment, key, value string) map[string]string {
	out := maps.Clone(deployment.Spec.Selector.MatchLabels)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

func ownLabels(owner, namespace string) map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: owner, v1alpha1.LabelOwnerNamespace: namespace,
		v1alpha1.LabelBackend: v1alpha1.CanaryName,
	}
}
