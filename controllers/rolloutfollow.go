package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// workloadManager is the field manager of what Headgate owns of a Deployment of the user's.
const workloadManager = "headgate-workload"

// followRollout makes true what was decided about the Deployments, and has the webhooks asked. The decision
// is in the status by now.
func (r *exposureReconciler) followRollout(ctx context.Context, s *scope) {
	s.ignoreInRollout()
	r.checkAnalysis(s)
	r.followWorkload(ctx, s)
	if err := r.undoRollOut(ctx, s); err != nil {
		s.fail(err)
	}
	r.followCanary(ctx, s)
	r.webhooks.follow(s.exs, s.rollout.intents)
}

// followWorkload holds the user's Deployment, releases it, or gives it up.
func (r *exposureReconciler) followWorkload(ctx context.Context, s *scope) {
	d, want := s.rollout.deployment, s.rollout.intents.Workload
	if d == nil || s.rollout.rival != nil {
		return
	}
	switch want {
	case rollout.WorkloadHeld, rollout.WorkloadReleased:
		paused, has := want == rollout.WorkloadHeld, d.Spec.Template.Annotations[workload.AnnotationConfig]
		config := s.rollout.intents.Config
		if paused {
			config = has // What its pods were started with changes when they are replaced.
		}
		if d.Spec.Paused == paused && has == config {
			return
		}
		// From here on it takes Headgate to let it go.
		if err := r.holdFinalizer(ctx, s); err != nil {
			s.fail(err)
			return
		}
		if err := r.applyWorkload(ctx, workload.Hold(d, paused, config)); err != nil {
			s.fail(err)
			return
		}
		s.log.Info("changed spec.paused", "deployment", d.Name, "paused", paused)
	case rollout.WorkloadGivenUp:
		if err := r.giveUpWorkload(ctx, s.exs); err != nil {
			s.fail(err)
		}
	}
}

// holdsWorkload says whether a Deployment may have fields of Headgate's.
func holdsWorkload(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil && strings.HasPrefix(exs.Status.Rollout.Target, targetDeployment)
}

// giveUpWorkload gives up what Headgate owns of the Deployment that it rolls out, if it still does. It reads past the
// cache, which does not say who owns what.
func (r *exposureReconciler) giveUpWorkload(ctx context.Context, exs *v1alpha1.ExposedService) error {
	if r.kinds.isOff(kindDeployment) {
		name := workloadOf(exs)
		logf.FromContext(ctx).Info("a Deployment is not given up: "+whyOff, "deployment", name)
		r.events.write(exs, occurrence{
			kind: corev1.EventTypeWarning, reason: eventNotGivenUp, action: actionRemove,
			note: "Deployment " + name.String() + " may stay paused, because " + whyOff + ": set its spec.paused to false",
		})
		return nil
	}
	d, err := get[appsv1.Deployment](ctx, r.reader, workloadOf(exs))
	if err != nil || d == nil {
		return err
	}
	if !slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == workloadManager }) {
		return nil
	}
	return r.applyWorkload(ctx, workload.GiveUp(d))
}

// applyWorkload applies what Headgate owns of the Deployment, and nothing else. With its UID the API
// server refuses to make one that was deleted meanwhile.
func (r *exposureReconciler) applyWorkload(ctx context.Context, want *unstructured.Unstructured) error {
	body, err := json.Marshal(want.Object)
	if err != nil {
		return fmt.Errorf("write Deployment %s as JSON: %w", want.GetName(), err)
	}
	answer := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: want.GetNamespace(), Name: want.GetName()}}
	err = r.client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(workloadManager), client.ForceOwnership)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("apply spec.paused of Deployment %s/%s: %w", want.GetNamespace(), want.GetName(), err)
	}
	return nil
}
