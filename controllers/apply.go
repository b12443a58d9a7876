package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// fieldManager is the one field manager of everything that Headgate applies.
const fieldManager = v1alpha1.ManagedBy

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;grpcroutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.envoyproxy.io,resources=backends;backendtrafficpolicies;envoypatchpolicies;envoyproxies,verbs=get;list;watch;create;patch;delete

// applyAll applies the objects in their order and stops at the first that fails: what comes later
// may refer to it, and what is there goes on as it is.
func (r *exposureReconciler) applyAll(ctx context.Context, s *scope) {
	for _, object := range s.expansion.Objects {
		k, ok := kindOf(object)
		if !ok || !r.kinds.has(k) {
			s.failures = append(s.failures, gateway.Failure{Final: true, Message: fmt.Sprintf(
				"the cluster does not have the kind %s: install the CustomResourceDefinitions of Envoy Gateway",
				object.GetObjectKind().GroupVersionKind())})
			return
		}
		if object.GetNamespace() != s.exs.Namespace {
			if err := r.holdFinalizer(ctx, s); err != nil {
				s.fail(err)
				return
			}
		}
		if err := r.applyOne(ctx, s, k, object); err != nil {
			r.noteFailure(s, k, object, err)
			return
		}
	}
}

// noteFailure says what the API server did not take. A refusal of the content is the user's to
// settle, everything else is tried again.
func (r *exposureReconciler) noteFailure(s *scope, k kind, object gateway.Object, err error) {
	name := fmt.Sprintf("%s %s/%s", k.gvk.Kind, object.GetNamespace(), object.GetName())
	switch {
	case isConflict(err):
		s.conflicted = true
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		s.failures = append(s.failures, gateway.Failure{Final: true, Message: fmt.Sprintf(
			"%s is refused by the API server: %v; correct the field of the spec, or the override, that it comes from", name, err)})
		s.runAgain(refusalRetry)
	default:
		s.failures = append(s.failures, gateway.Failure{Message: fmt.Sprintf("%s cannot be applied: %v; it is tried again", name, err)})
		s.errs = append(s.errs, fmt.Errorf("apply %s: %w", name, err))
	}
}

// applyOne applies one object, unless the live one already is as it should be.
func (r *exposureReconciler) applyOne(ctx context.Context, s *scope, k kind, object gateway.Object) error {
	ref := k.ref(object)
	want, err := intent(s.exs, object)
	if err != nil {
		return err
	}
	live := s.live[ref]
	change, err := compareWithLive(k, want, live)
	if err != nil {
		return err
	}
	if change.result == resultUnchanged {
		return nil
	}

	options := []client.PatchOption{client.FieldOwner(fieldManager)}
	if live != nil {
		// With the UID the server refuses if the object was replaced meanwhile. Without force on the
		// first write, it refuses to take over what somebody else made a moment ago.
		want.SetUID(live.GetUID())
		options = append(options, client.ForceOwnership)
	}
	body, err := json.Marshal(want.Object)
	if err != nil {
		return fmt.Errorf("write %s %s as JSON: %w", ref.Kind, ref.Name, err)
	}
	applied := k.newObject()
	applied.SetNamespace(ref.Namespace)
	applied.SetName(ref.Name)
	if err := r.client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, body), options...); err != nil {
		r.metrics.countApply(ref.Kind, resultFailed)
		return err
	}
	s.live[ref] = applied
	r.metrics.countApply(ref.Kind, change.result)
	r.reportChange(s, ref, change)
	return nil
}

func (r *exposureReconciler) reportChange(s *scope, ref gateway.Ref, change change) {
	if change.result != resultCorrected {
		s.log.Info("applied", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "result", change.result)
		return
	}
	fields := abbreviate(change.fields)
	s.log.Info("put back what somebody else had changed", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "fields", fields)
	r.metrics.countDrift(ref.Kind)
	r.events.write(s.exs, occurrence{
		kind: corev1.EventTypeWarning, reason: eventDriftCorrected, action: actionApply, related: s.live[ref],
		note: fmt.Sprintf("%s %s/%s was changed by somebody else; put back: %s", ref.Kind, ref.Namespace, ref.Name, fields),
	})
}

// Results of an apply, as metrics and logs call them.
const (
	resultUnchanged = "unchanged"
	resultCreated   = "created"
	resultChanged   = "changed"
	resultCorrected = "corrected"
	resultFailed    = "failed"
)

// change is what applying an object would do.
type change struct {
	result string
	// fields are those that somebody else has changed, if that is all.
	fields []string
}

// compareWithLive finds out what applying would do. When the intent is that of the last apply, any
// difference is somebody else's doing.
func compareWithLive(k kind, want *unstructured.Unstructured, live client.Object) (change, error) {
	if live == nil {
		return change{result: resultCreated}, nil
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return change{}, fmt.Errorf("read the fields of %s %s: %w", k.gvk.Kind, live.GetName(), err)
	}
	// Typed objects from the cache do not carry their kind.
	fields := maps.Clone(want.Object)
	delete(fields, "apiVersion")
	delete(fields, "kind")
	paths := differences(k.gvk.Kind, fields, have)
	last := live.GetAnnotations()[v1alpha1.AnnotationIntent]
	switch {
	case len(paths) == 0:
		return change{result: resultUnchanged}, nil
	case last == "" || last == want.GetAnnotations()[v1alpha1.AnnotationIntent]:
		return change{result: resultCorrected, fields: paths}, nil
	}
	return change{result: resultChanged}, nil
}

// intent is the whole of what Headgate wants an object to be, as server-side apply takes it: owner,
// labels, and a hash of itself, by which a later run tells a new intent from a foreign change.
func intent(exs *v1alpha1.ExposedService, object gateway.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("write %s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(), err)
	}
	want := &unstructured.Unstructured{Object: fields}
	unstructured.RemoveNestedField(fields, "status")
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")

	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: exs.Name, v1alpha1.LabelOwnerNamespace: exs.Namespace,
	}
	maps.Copy(labels, want.GetLabels())
	want.SetLabels(labels)
	if want.GetNamespace() == exs.Namespace {
		owner, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ptr.To(ownerReference(exs)))
		if err != nil {
			return nil, fmt.Errorf("write the owner of %s: %w", want.GetName(), err)
		}
		if err := unstructured.SetNestedSlice(fields, []any{owner}, "metadata", "ownerReferences"); err != nil {
			return nil, fmt.Errorf("set the owner of %s: %w", want.GetName(), err)
		}
	}

	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("hash %s: %w", want.GetName(), err)
	}
	sum := sha256.Sum256(text)
	annotations := maps.Clone(want.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationIntent] = hex.EncodeToString(sum[:8])
	want.SetAnnotations(annotations)
	return want, nil
}

// abbreviate joins field paths for people: the first five, and how many more.
func abbreviate(paths []string) string {
	const most = 5
	if len(paths) <= most {
		return strings.Join(paths, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), len(paths)-most)
}
