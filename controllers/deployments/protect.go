package deployments

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout/workload"
)

// labelProtected is, on a Service of the user's, the name of the ExposedService whose rollout has put a pod-template-hash into its selector.
// By it what was put there is found and taken out, whatever happens meanwhile.
const labelProtected = "headgate.dev/protected"

// protect puts the stable version's hash into the selector of the user's Service, and takes it out of every other one. The selector of a
// Service is owned as a whole (it is atomic to server-side apply): applied, all of it would be Headgate's, and gone when it is given up. So
// the one key is patched.
func (f *following) protect(ctx context.Context, front *corev1.Service) {
	hash, but := f.intents.Protect, ""
	if hash != "" && front != nil && front.Namespace == f.exs.Namespace && len(front.Spec.Selector) > 0 {
		but = front.Name
	}
	if but != "" && front.Spec.Selector[workload.LabelTemplateHash] != hash {
		// From here on it takes Headgate to take it out.
		if err := kube.HoldFinalizer(ctx, f.Client, f.exs); err != nil {
			f.out.Fail(err)
			return
		}
		f.fail("the Service of the first backend cannot be protected", f.patchSelector(ctx, front, hash, f.exs.Name))
	}
	f.fail("a Service cannot be given back its selector", f.unprotect(ctx, f.Client, f.exs, but))
}

// unprotect takes the hash out of all Services that an ExposedService has protected, but for one.
func (f *Follower) unprotect(ctx context.Context, reader client.Reader, exs *v1alpha1.ExposedService, but string) error {
	var services corev1.ServiceList
	if err := reader.List(ctx, &services, client.InNamespace(exs.Namespace), client.MatchingLabels{labelProtected: exs.Name}); err != nil {
		return fmt.Errorf("list the Services that ExposedService %s has protected: %w", client.ObjectKeyFromObject(exs), err)
	}
	for i := range services.Items {
		if service := &services.Items[i]; service.Name != but {
			if err := f.patchSelector(ctx, service, "", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// patchSelector puts a hash into the selector of a Service and a mark on it, or takes both away, if the Service has not changed since.
func (f *Follower) patchSelector(ctx context.Context, service *corev1.Service, hash, mark string) error {
	value := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": service.ResourceVersion, "labels": map[string]any{labelProtected: value(mark)}},
		"spec":     map[string]any{"selector": map[string]any{workload.LabelTemplateHash: value(hash)}},
	})
	if err != nil {
		return fmt.Errorf("write the selector of Service %s as JSON: %w", service.Name, err)
	}
	answer := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name}}
	err = f.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), client.FieldOwner(FieldManager))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("change the selector of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	logf.FromContext(ctx).Info("changed the selector of a Service", "service", service.Name, "podTemplateHash", hash)
	return nil
}
