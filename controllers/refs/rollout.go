package refs

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
)

// Prefixes of a rollout's target, as the status has it.
const (
	targetDeployment = "Deployment/"
	targetService    = "Service/"
)

// Workload is the Deployment that a rollout is about: that of the status until it is given up, then
// that of the spec. An empty name: there is none.
func Workload(exs *v1alpha1.ExposedService) types.NamespacedName {
	name, isDeployment := strings.CutPrefix(rollout.Target(&exs.Spec, &exs.Status), targetDeployment)
	if !isDeployment {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: exs.Namespace, Name: name}
}

// CanaryService is the canary Service of the user's own that a rollout is about; nil: it is about none.
func CanaryService(exs *v1alpha1.ExposedService) *v1alpha1.ServiceBackend {
	if own, isService := strings.CutPrefix(rollout.Target(&exs.Spec, &exs.Status), targetService); isService {
		return serviceFrom(own)
	}
	return nil
}

// serviceFrom reads "name:port" or "namespace/name:port".
func serviceFrom(text string) *v1alpha1.ServiceBackend {
	name, number, _ := strings.Cut(text, ":")
	port, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return nil
	}
	out := &v1alpha1.ServiceBackend{Name: name, Port: v1alpha1.PortNumber(port)}
	if namespace, rest, hasNamespace := strings.Cut(name, "/"); hasNamespace {
		out.Namespace, out.Name = &namespace, rest
	}
	return out
}

// RollsOut says whether a rollout is asked for, or not over yet.
func RollsOut(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Rollout != nil || exs.Status.Rollout != nil
}

// Workloads is the "namespace/name" of the Deployment that an ExposedService rolls out, if there is one.
func Workloads(exs *v1alpha1.ExposedService) []string {
	if name := Workload(exs); name.Name != "" {
		return []string{name.String()}
	}
	return nil
}

// HoldsWorkload says whether a Deployment may have fields of Headgate's.
func HoldsWorkload(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil && strings.HasPrefix(exs.Status.Rollout.Target, targetDeployment)
}

// Spoken are the annotations by which people speak to a rollout.
func Spoken() []string {
	return []string{
		v1alpha1.AnnotationApprove, v1alpha1.AnnotationSkip, v1alpha1.AnnotationPromote, v1alpha1.AnnotationAbort, v1alpha1.AnnotationRetry,
		v1alpha1.AnnotationSwapped,
	}
}
