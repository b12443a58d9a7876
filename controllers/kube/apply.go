package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// FieldManager is the one field manager of everything that Headgate applies.
const FieldManager = v1alpha1.ManagedBy

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;grpcroutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.envoyproxy.io,resources=backends;backendtrafficpolicies;envoypatchpolicies;envoyproxies,verbs=get;list;watch;create;patch;delete

// Apply applies one object, unless the live one already is as it should be.
func (i *Inventory) Apply(ctx context.Context, k Kind, object gateway.Object) error {
	ref := k.Ref(object)
	want, err := intent(i.owner, object)
	if err != nil {
		return err
	}
	live := i.live[ref]
	change, err := compareWithLive(k, want, live)
	if err != nil {
		return err
	}
	if change.result == resultUnchanged {
		return nil
	}

	options := []client.PatchOption{client.FieldOwner(FieldManager)}
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
	applied := k.NewObject()
	applied.SetNamespace(ref.Namespace)
	applied.SetName(ref.Name)
	if err := i.Client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, body), options...); err != nil {
		i.Metrics.CountApply(ref.Kind, resultFailed)
		return err
	}
	i.live[ref] = applied
	i.Metrics.CountApply(ref.Kind, change.result)
	i.reportChange(ctx, ref, change)
	return nil
}

func (i *Inventory) reportChange(ctx context.Context, ref gateway.Ref, change change) {
	log := logf.FromContext(ctx)
	if change.result != resultCorrected {
		log.Info("applied", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "result", change.result)
		return
	}
	fields := abbreviate(change.fields)
	log.Info("put back what somebody else had changed", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "fields", fields)
	i.Metrics.CountDrift(ref.Kind)
	i.Events.Write(i.owner, Event{
		Type: corev1.EventTypeWarning, Reason: ReasonDriftCorrected, Action: ActionApply, Related: i.live[ref],
		Note: fmt.Sprintf("%s %s/%s was changed by somebody else; put back: %s", ref.Kind, ref.Namespace, ref.Name, fields),
	})
}

// Results of an apply or a removal, as metrics and logs call them.
const (
	resultUnchanged = "unchanged"
	resultCreated   = "created"
	resultChanged   = "changed"
	resultCorrected = "corrected"
	resultFailed    = "failed"
	resultRemoved   = "removed"
)

// change is what applying an object would do.
type change struct {
	result string
	// fields are those that somebody else has changed, if that is all.
	fields []string
}

// compareWithLive finds out what applying would do. When the intent is that of the last apply, any
// difference is somebody else's doing.
func compareWithLive(k Kind, want *unstructured.Unstructured, live client.Object) (change, error) {
	if live == nil {
		return change{result: resultCreated}, nil
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return change{}, fmt.Errorf("read the fields of %s %s: %w", k.GVK.Kind, live.GetName(), err)
	}
	// Typed objects from the cache do not carry their kind.
	fields := maps.Clone(want.Object)
	delete(fields, "apiVersion")
	delete(fields, "kind")
	paths := Differences(k.GVK.Kind, fields, have)
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
