package deployments

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
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=list

// annotationRevision names, on a canary Deployment, the revision of its pod template. The template itself
// cannot say: one label of it is another than the Deployment's.
const annotationRevision = "headgate.dev/revision"

// canary makes the canary what it is to be. What is no longer to be there goes with everything
// else that nobody wants any more.
func (f *following) canary(ctx context.Context, front *corev1.Service) {
	want, name := f.intents.Canary, refs.CanaryName(refs.Workload(f.exs))
	if !want.Present {
		return
	}
	deployment := gateway.Ref{Group: kube.KindDeployment.GVK.Group, Kind: kube.KindDeployment.GVK.Kind, Namespace: name.Namespace, Name: name.Name}
	service := gateway.Ref{Kind: gateway.KindService, Namespace: name.Namespace, Name: name.Name}
	f.out.Kept = append(f.out.Kept, deployment, service)

	canary, err := f.plannedCanary(ctx)
	if err != nil {
		f.fail("no canary can be made", err)
		return
	}
	if canary == nil || !f.applyForCanary(ctx, kube.KindDeployment, canary) || front == nil {
		return
	}
	own, err := workload.Service(front, f.exs.Spec.Backends[0].Service.Port, canary)
	if err != nil {
		// The backend's own problem says that its Service lacks the port.
		return
	}
	f.applyForCanary(ctx, kube.KindService, own)
}

// plannedCanary is the canary Deployment that is to be; nil: nothing can be done about it now.
func (f *following) plannedCanary(ctx context.Context) (*appsv1.Deployment, error) {
	want, d, live := f.intents.Canary, f.state.deployment, f.state.canary
	if live != nil && kube.OwnershipOf(live, f.exs) != kube.Ours {
		live = nil
	}
	switch current := live != nil && live.Annotations[annotationRevision] == want.Revision; {
	case want.Revision == "", f.state.config.why != "", d == nil && current:
		if live == nil {
			return nil, nil
		}
		return keptCanary(live, want.Replicas), nil
	case d == nil:
		return nil, nil
	}
	have, err := workload.Revision(&d.Spec.Template, f.state.config.hash)
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", d.Name, err)
	}
	if have != want.Revision {
		// One of them is older than the other. A look later they agree.
		f.out.RunAgain(kube.ConflictRetry)
		return nil, nil
	}
	var others []workload.Selector
	if live == nil || live.Annotations[annotationRevision] != want.Revision {
		// Labels of a canary that is there stay: what they are compared with need not be read in every run.
		if others, err = f.otherSelectors(ctx, d); err != nil {
			return nil, err
		}
	}
	canary, err := workload.Canary(d, workload.Plan{
		Owner: f.exs.Name, Revision: want.Revision, Config: f.state.config.hash, Replicas: want.Replicas, Others: others, Live: live,
	})
	if err != nil {
		f.problem(v1alpha1.ReasonWorkloadNotSupported, err.Error())
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

// otherSelectors are those that must not catch the pods of a Deployment's canary.
func (f *Follower) otherSelectors(ctx context.Context, d *appsv1.Deployment) ([]workload.Selector, error) {
	services, err := f.serviceSelectors(ctx, d.Namespace, workload.CanaryName(d.Name))
	if err != nil {
		return nil, err
	}
	budgets, err := f.budgetSelectors(ctx, d.Namespace)
	return append(services, budgets...), err
}

// serviceSelectors are those of all Services that must not catch the canary's pods: all of the namespace but
// the canary's own.
func (f *Follower) serviceSelectors(ctx context.Context, namespace, canary string) ([]workload.Selector, error) {
	var services corev1.ServiceList
	if err := f.Client.List(ctx, &services, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
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
func (f *Follower) budgetSelectors(ctx context.Context, namespace string) ([]workload.Selector, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var budgets policyv1.PodDisruptionBudgetList
	if err := f.Reader.List(ctx, &budgets, client.InNamespace(namespace)); err != nil {
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
func (f *following) applyForCanary(ctx context.Context, k kube.Kind, object gateway.Object) bool {
	ref := k.Ref(object)
	live, err := f.inventory.Find(ctx, k, ref)
	if err != nil {
		f.out.Fail(err)
		return false
	}
	if live != nil {
		if whose := kube.OwnershipOf(live, f.exs); whose == kube.Foreign || whose == kube.Leftover {
			f.out.WaitsFor = append(f.out.WaitsFor, ref)
			f.out.Problems = append(f.out.Problems, gateway.Problem{
				Reason: v1alpha1.ReasonNameConflict, For: v1alpha1.ConditionProgressing, Message: fmt.Sprintf(
					"spec.rollout: %s %s/%s exists and was not made by Headgate for this ExposedService, so it is left alone and no canary is made: delete or rename it",
					ref.Kind, ref.Namespace, ref.Name),
			})
			return false
		}
	}
	if err := f.inventory.Apply(ctx, k, object); err != nil {
		f.out.Refused(gateway.PartRollout, object, err)
		return false
	}
	return true
}
