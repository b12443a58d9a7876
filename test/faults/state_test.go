package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// state is what there is of a world's ExposedServices: what was made, what the status says, what is done to Deployments.
type state map[string]any

// state reads it, without what differs from one namespace to the next.
func (w *world) state() (state, error) {
	ctx := context.Background()
	out := state{}
	var services corev1.ServiceList
	if err := w.kube.List(ctx, &services, client.InNamespace(w.namespace)); err != nil {
		return nil, err
	}
	same := []string{w.class, "CLASS", w.namespace, "NAMESPACE"}
	if w.infra != "" {
		same = append(same, w.infra, "INFRA")
	}
	for _, s := range services.Items {
		// In quotes, so that no address is a part of another one.
		if s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone {
			same = append(same, fmt.Sprintf("%q", s.Spec.ClusterIP), fmt.Sprintf("%q", "ClusterIP of "+s.Name))
		}
	}
	sames := strings.NewReplacer(same...)
	for _, k := range kube.MadeKinds() {
		list := k.NewList()
		if err := w.kube.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			return nil, err
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			if !isMade(object) {
				return nil
			}
			fields, err := essentials(object, sames)
			out[k.GVK.Kind+" "+object.GetName()] = fields
			return err
		}); err != nil {
			return nil, err
		}
	}
	if err := w.elsewhere(out, sames); err != nil {
		return nil, err
	}
	var deployments appsv1.DeploymentList
	if err := w.kube.List(ctx, &deployments, client.InNamespace(w.namespace)); err != nil {
		return nil, err
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		if !isMade(d) {
			out["workload "+d.Name] = fmt.Sprintf("paused %t, %s", d.Spec.Paused, d.Spec.Template.Spec.Containers[0].Image)
		}
	}
	var all v1alpha1.ExposedServiceList
	if err := w.kube.List(ctx, &all, client.InNamespace(w.namespace)); err != nil {
		return nil, err
	}
	for i := range all.Items {
		out["status of "+all.Items[i].Name] = said(&all.Items[i])
	}
	return out, nil
}

// elsewhere adds what is beside a Gateway in another namespace, where no owner reference can be.
func (w *world) elsewhere(out state, sames *strings.Replacer) error {
	if w.infra == "" {
		return nil
	}
	var patches egv1a1.EnvoyPatchPolicyList
	if err := w.kube.List(context.Background(), &patches, client.InNamespace(w.infra)); err != nil {
		return err
	}
	for i := range patches.Items {
		fields, err := essentials(&patches.Items[i], sames)
		if err != nil {
			return err
		}
		// Its name holds a hash of the namespace.
		delete(fields["metadata"].(map[string]any), "name")
		out["EnvoyPatchPolicy beside the Gateway for "+patches.Items[i].Labels[v1alpha1.LabelOwnerName]] = fields
	}
	return nil
}

// isMade: an ExposedService controls it.
func isMade(object client.Object) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.Kind == v1alpha1.KindExposedService
}

// essentials are the fields of an object that Headgate chooses.
func essentials(object client.Object, sames *strings.Replacer) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	annotations := object.GetAnnotations()
	delete(annotations, v1alpha1.AnnotationIntent)
	owner := ""
	if controller := metav1.GetControllerOf(object); controller != nil {
		owner = controller.Name
	}
	fields["metadata"] = map[string]any{
		"name": object.GetName(), "labels": object.GetLabels(), "annotations": annotations, "finalizers": object.GetFinalizers(),
		"owner": owner, "being deleted": object.GetDeletionTimestamp() != nil,
	}
	if spec, ok := fields["spec"].(map[string]any); ok {
		// The API server chooses them.
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal([]byte(sames.Replace(string(text))), &out)
}

// said is what a status says, without times, numbers of decisions, and texts for people.
func said(exs *v1alpha1.ExposedService) map[string]any {
	s := exs.Status
	out := map[string]any{
		"current": s.ObservedGeneration == exs.Generation, "active": s.Active, "endpoints": s.Endpoints, "finalizers": fmt.Sprint(exs.Finalizers),
		"addresses": fmt.Sprint(len(s.Addresses)),
	}
	for _, c := range s.Conditions {
		out["condition "+c.Type] = fmt.Sprintf("%s %s, current %t", c.Status, c.Reason, c.ObservedGeneration == exs.Generation)
	}
	if s.Traffic != nil {
		out["weights"], out["fallback"] = fmt.Sprint(s.Traffic.Weights), s.Traffic.Fallback
	}
	for _, b := range s.Backends {
		out["backend "+b.Name] = fmt.Sprintf("%s %s, %s", b.Health, b.Reason, ready(b))
	}
	if s.Failover != nil {
		out["mode"], out["stands by"] = s.Failover.Mode, s.Failover.Fallback
		if state := s.Failover.State; state != nil {
			out["ramp"], out["pin"] = state.Ramp != nil, state.Pin
		}
	}
	if r := s.Rollout; r != nil {
		out["rollout"] = fmt.Sprintf("%s %s, stable is newest %t, failed %t, weight %v", r.Phase, r.Progress, r.Stable == r.Revision, r.Failed != nil, r.Weight)
	}
	return out
}

func ready(b v1alpha1.BackendStatus) string {
	if b.Ready == nil || b.Total == nil {
		return "not counted"
	}
	return fmt.Sprintf("%d of %d", *b.Ready, *b.Total)
}

// stateIs is nil when the state is as wanted.
func (w *world) stateIs(want state) error {
	have, err := w.state()
	if err != nil {
		return err
	}
	return differs(want, have)
}

func differs(want, have state) error {
	if diff := cmp.Diff(want, have); diff != "" {
		return fmt.Errorf("the state differs (-without the disturbance +with it):\n%s", diff)
	}
	return nil
}
