package deployments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout/workload"
)

// guard says whether the API server holds changed pod templates of a Deployment: whether the admission policy is in force.
type guard string

const (
	guardUnknown guard = ""
	guardOn      guard = "on"
	guardOff     guard = "off"
)

const (
	// guardPeriod is how often the API server is asked: somebody may remove the policy.
	guardPeriod = 10 * time.Minute
	// probeManager is the field manager of questions. Nothing is ever written by it.
	probeManager = "headgate-probe"
	// annotationProbe is what a question changes of a pod template.
	annotationProbe = "headgate.dev/probe"
)

// guarded says what is known of the policy for a Deployment, and has the API server asked if that is nothing or old. It is asked at once
// about a Deployment whose pod template has changed without being held.
func (f *Follower) guarded(exs *v1alpha1.ExposedService, d *appsv1.Deployment, slipped bool) guard {
	want := subject{name: client.ObjectKeyFromObject(d), uid: d.UID}
	if slipped {
		want.version = string(d.UID) + "/" + workloadVersion(d)
	}
	seen := f.Inspector.look(inspection{client.ObjectKeyFromObject(exs), inspectGuard}, want, guardPeriod)
	if !seen.read && slipped {
		return guardUnknown
	}
	return seen.guard
}

// workloadVersion changes with the pod template, and not with the status.
func workloadVersion(d *appsv1.Deployment) string {
	revision, err := workload.Revision(&d.Spec.Template, "")
	if err != nil {
		return d.ResourceVersion
	}
	return revision
}

// probe asks the API server what it would make of a changed pod template.
func (i *Inspector) probe(ctx context.Context, of subject, mark string) (guard, error) {
	question := workload.Own(
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: of.name.Namespace, Name: of.name.Name, UID: of.uid}}, workload.Owned{Mark: mark, Paused: ptr.To(false), Annotation: annotationProbe},
	)
	body, err := json.Marshal(question.Object)
	if err != nil {
		return guardUnknown, fmt.Errorf("write a question about Deployment %s as JSON: %w", of.name, err)
	}
	answer := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: of.name.Namespace, Name: of.name.Name}}
	err = i.writer.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.DryRunAll, client.FieldOwner(probeManager),
		client.ForceOwnership, client.DisableReadYourWritesConsistency)
	var refused apierrors.APIStatus
	switch {
	case err == nil && answer.Spec.Paused:
		return guardOn, nil
	case err == nil:
		return guardOff, nil
	case errors.As(err, &refused) && !apierrors.IsServerTimeout(err) && !apierrors.IsTimeout(err) && !apierrors.IsTooManyRequests(err) &&
		!apierrors.IsInternalError(err) && !apierrors.IsServiceUnavailable(err):
		// A webhook may refuse questions, or nobody may ask.
		return guardOff, nil
	}
	return guardUnknown, fmt.Errorf("ask what a changed pod template of Deployment %s would come to: %w", of.name, err)
}

// sayUnguarded says what it costs that the policy is not in force. Everything works without it.
func (f *following) sayUnguarded() {
	said := meta.FindStatusCondition(f.exs.Status.Conditions, v1alpha1.ConditionAccepted)
	// Until it is known again, as after a restart, what was said last stands.
	stands := f.state.guard == guardUnknown && said != nil && said.Reason == string(v1alpha1.ReasonPausedAtRest)
	if f.state.guard != guardOff && !stands || f.state.deployment == nil {
		return
	}
	f.out.Notes = append(f.out.Notes, kube.Note{Reason: v1alpha1.ReasonPausedAtRest, Message: fmt.Sprintf(
		"the spec can be served as it is. Deployment %s is paused between rollouts as well, because the API server does not hold changed pod "+
			"templates: `kubectl rollout restart` and `undo` refuse it, and Argo CD calls it Suspended. With Kubernetes 1.36 or newer install the "+
			"MutatingAdmissionPolicy of Headgate (in the chart rollouts.admissionPolicy, for kustomize config/admission-policy)",
		f.state.deployment.Name)})
}
