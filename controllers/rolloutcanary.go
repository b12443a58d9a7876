package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=list

// annotationRevision names, on a canary Deployment, the revision of its pod template. The template itself
// cannot say: one label of it is another than the Deployment's.
const annotationRevision = "headgate.dev/revision"

// followCanary makes the canary what it is to be. What is no longer to be there goes with everything
// else that nobody wants any more (prune).
func (r *exposureReconciler) followCanary(ctx context.Context, s *scope) {
	want, name := s.rollout.intents.Canary, canaryKey(workloadOf(s.exs))
	if !want.Present {
		return
	}
	s.expansion = s.expansion.Keep(
		gateway.Ref{Group: kindDeployment.gvk.Group, Kind: kindDeployment.gvk.Kind, Namespace: name.Namespace, Name: name.Name},
		gateway.Ref{Kind: gateway.KindService, Namespace: name.Namespace, Name: name.Name})

	canary, err := r.plannedCanary(ctx, s)
	if err != nil {
		s.fail(err)
		return
	}
	if canary == nil {
		return
	}
	if !r.applyForCanary(ctx, s, kindDeployment, canary) {
		return
	}
	service := s.facts.Backends[s.exs.Spec.Backends[0].Name].Service
	if service == nil {
		return
	}
	front, err := workload.Service(service, s.exs.Spec.Backends[0].Service.Port, canary)
	if err != nil {
		// The backend's own problem says that its Service lacks the port.
		return
	}
	r.applyForCanary(ctx, s, kindService, front)
}

// plannedCanary is the canary Deployment that is to be; nil: nothing can be done about it now.
func (r *exposureReconciler) plannedCanary(ctx context.Context, s *scope) (*appsv1.Deployment, error) {
	want, d, live := s.rollout.intents.Canary, s.rollout.deployment, s.rollout.canary
	if live != nil && ownershipOf(live, s.exs) != ours {
		live = nil
	}
	switch current := live != nil && live.Annotations[annotationRevision] == want.Revision; {
	case want.Revision == "", s.rollout.config.why != "", d == nil && current:
		if live == nil {
			return nil, nil
		}
		return keptCanary(live, want.Replicas), nil
	case d == nil:
		return nil, nil
	}
	have, err := workload.Revision(&d.Spec.Template, s.rollout.config.hash)
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", d.Name, err)
	}
	if have != want.Revision {
		// One of them is older than the other. A look later they agree.
		s.runAgain(conflictRetry)
		return nil, nil
	}
	others, err := r.serviceSelectors(ctx, d.Namespace, workload.CanaryName(d.Name))
	if err != nil {
		return nil, err
	}
	if live == nil || live.Annotations[annotationRevision] != want.Revision {
		budgets, err := r.budgetSelectors(ctx, d.Namespace)
		if err != nil {
			return nil, err
		}
		others = append(others, budgets...)
	}
	canary, err := workload.Canary(d, workload.Plan{
		Owner: s.exs.Name, Revision: want.Revision, Config: s.rollout.config.hash, Replicas: want.Replicas, Others: others, Live: live,
	})
	if err != nil {
		s.problem(v1alpha1.ReasonWorkloadNotSupported, "spec.rollout.workloadRef: "+err.Error())
		return nil, nil //nolint:nilerr // it is the user's to settle, and a condition says so
	}
	canary.Annotations = map[string]string{annotationRevision: want.Revision}
	return canary, nil
}

// keptCanary is the canary as it is, with another number of pods.
func keptCanary(live *appsv1.Deployment, replicas int32) *appsv1.Deployment {
	out := workload.Kept(live, replicas)
	out.Annotations = map[string]string{annotationRevision: live.Annotations[annotationRevision]}
	return out
}

// serviceSelectors are those of all Services that must not catch the canary's pods: all of the namespace but
// the canary's own.
func (r *exposureReconciler) serviceSelectors(ctx context.Context, namespace, canary string) ([]workload.Selector, error) {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list the Services of namespace %s: %w", namespace, err)
	}
	var out []workload.Selector
	for i := range services.Items {
		service := &services.Items[i]
		// A Service without a selector catches nothing, and those of Headgate repeat others.
		if len(service.Spec.Selector) == 0 || service.Name == canary || service.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy {
			continue
		}
		out = append(out, workload.Selector{Name: "Service " + service.Name, Selector: labels.SelectorFromSet(service.Spec.Selector)})
	}
	return out, nil
}

// budgetSelectors are those of the PodDisruptionBudgets of a namespace. They are read when a canary is made, and
// not watched: nothing else is asked of them.
func (r *exposureReconciler) budgetSelectors(ctx context.Context, namespace string) ([]workload.Selector, error) {
	var budgets policyv1.PodDisruptionBudgetList
	if err := r.reader.List(ctx, &budgets, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list the PodDisruptionBudgets of namespace %s: %w", namespace, err)
	}
	var out []workload.Selector
	for i := range budgets.Items {
		selector, err := metav1.LabelSelectorAsSelector(budgets.Items[i].Spec.Selector)
		if err != nil {
			continue // The API server admits none that cannot be read.
		}
		out = append(out, workload.Selector{Name: "PodDisruptionBudget " + budgets.Items[i].Name, Selector: selector})
	}
	return out, nil
}

// applyForCanary applies an object of the canary, unless somebody else's has its name, and says whether
// it is there. A name that is taken keeps the rollout from starting, and nothing else from going on.
func (r *exposureReconciler) applyForCanary(ctx context.Context, s *scope, k kind, object gateway.Object) bool {
	ref := k.ref(object)
	if _, found := s.live[ref]; !found {
		live, err := r.readTaken(ctx, k, ref)
		if err != nil {
			s.fail(err)
			return false
		}
		if live != nil {
			s.live[ref] = live
		}
	}
	if live := s.live[ref]; live != nil {
		if whose := ownershipOf(live, s.exs); whose == foreign || whose == leftover {
			s.waitsFor = append(s.waitsFor, ref)
			s.expansion = s.expansion.With(gateway.Problem{
				Reason: v1alpha1.ReasonNameConflict, For: v1alpha1.ConditionProgressing, Message: fmt.Sprintf(
					"spec.rollout: %s %s/%s exists and was not made by Headgate for this ExposedService, so it is left alone and no canary is made: delete or rename it",
					ref.Kind, ref.Namespace, ref.Name),
			})
			return false
		}
	}
	if err := r.applyOne(ctx, s, k, object); err != nil {
		before := len(s.failures)
		r.noteFailure(s, k, object, err)
		for i := range s.failures[before:] {
			s.failures[before+i].Part = gateway.PartRollout
		}
		return false
	}
	return true
}
