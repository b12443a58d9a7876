package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// neverTheVersion is a resource version that no object has: the first that is written has a later one. Applied with it,
// an object is created, or refused with a conflict because there is one of that name.
const neverTheVersion = "1"

// Apply applies one object, unless the live one already is as it should be. The name of one that is not live has to be
// free: if it is not, the error is a conflict, and from then on Find sees who has it.
func (i *Inventory) Apply(ctx context.Context, k Kind, object gateway.Object) error {
	ref := k.Ref(object)
	live := i.live[ref]
	asked, err := i.digest(object)
	if err != nil {
		return err
	}
	if i.Settled.has(i.owner, ref, asked.with(live)) {
		return nil
	}
	want, err := intent(i.owner, object)
	if err != nil {
		return err
	}
	change, err := compareWithLive(k, want, live)
	if err != nil {
		return err
	}
	if change.result == resultUnchanged || live != nil && i.Settled.isRewritten(i.owner, ref, change.rewritten(asked)) {
		i.Settled.note(i.owner, ref, asked.with(live))
		return nil
	}
	return i.write(ctx, k, want, change, asked)
}

// write applies an intent, and compares what has become of it.
func (i *Inventory) write(ctx context.Context, k Kind, want *unstructured.Unstructured, change change, asked digest) error {
	ref := k.Ref(want)
	applied, err := i.send(ctx, k, want)
	if err != nil {
		// After a conflict the cache does not know the object, or not as it is.
		NoteConflict(i.Client, newNamed(k, ref), err)
		i.Metrics.CountApply(ref.Kind, resultFailed)
		return err
	}
	i.live[ref] = applied
	i.Metrics.CountApply(ref.Kind, change.result)
	i.reportChange(ctx, ref, change)
	return i.lookAtAnswer(ctx, k, want, asked)
}

// send sends an intent to the API server, with what it takes for granted of the live object.
func (i *Inventory) send(ctx context.Context, k Kind, want *unstructured.Unstructured) (client.Object, error) {
	ref := k.Ref(want)
	live := i.live[ref]
	if live != nil {
		// With the UID the server refuses if the object was replaced meanwhile.
		return i.patch(ctx, k, want, map[string]any{"uid": string(live.GetUID())}, client.ForceOwnership)
	}
	applied, err := i.patch(ctx, k, want, map[string]any{"resourceVersion": neverTheVersion})
	if !IsConflict(err) {
		return applied, err
	}
	if absent := i.Reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, k.NewObject()); !apierrors.IsNotFound(absent) {
		return nil, err
	}
	// Nothing is there, and the server creates nothing with a version. Without force it takes over nothing that has other
	// owners.
	return i.patch(ctx, k, want, nil)
}

func (i *Inventory) patch(
	ctx context.Context, k Kind, want *unstructured.Unstructured, taken map[string]any, options ...client.PatchOption,
) (client.Object, error) {
	ref := k.Ref(want)
	fields := maps.Clone(want.Object)
	metadata, _ := fields["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	maps.Copy(metadata, taken)
	fields["metadata"] = metadata
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("write %s %s as JSON: %w", ref.Kind, ref.Name, err)
	}
	applied := newNamed(k, ref)
	options = append(options, client.FieldOwner(FieldManager))
	return applied, i.Client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, body), options...)
}

// newNamed is an object that has nothing but its name.
func newNamed(k Kind, ref gateway.Ref) client.Object {
	object := k.NewObject()
	object.SetNamespace(ref.Namespace)
	object.SetName(ref.Name)
	return object
}

// lookAtAnswer finds out whether the object is as it was applied. If it is not, the cluster rewrites it: to apply it again
// would come to the same. That is said once, and the fields are left until the intent or what is there changes.
func (i *Inventory) lookAtAnswer(ctx context.Context, k Kind, want *unstructured.Unstructured, asked digest) error {
	ref := k.Ref(want)
	left, err := compareWithLive(k, want, i.live[ref])
	if err != nil {
		return err
	}
	i.Settled.note(i.owner, ref, asked.with(i.live[ref]))
	if left.result == resultUnchanged {
		return nil
	}
	if !i.Settled.noteRewritten(i.owner, ref, left.rewritten(asked)) {
		return nil
	}
	fields := abbreviate(left.fields())
	logf.FromContext(ctx).Info("the cluster rewrites what is applied", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "fields", fields)
	i.Events.Write(i.owner, Event{
		Type: corev1.EventTypeWarning, Reason: ReasonRewritten, Action: ActionApply, Related: i.live[ref],
		Note: fmt.Sprintf("the cluster changes %s %s/%s as it is applied, and it is left so: %s; look for an admission webhook or policy that does it",
			ref.Kind, ref.Namespace, ref.Name, fields),
	})
	return nil
}

func (i *Inventory) reportChange(ctx context.Context, ref gateway.Ref, change change) {
	log := logf.FromContext(ctx)
	if change.result != resultCorrected {
		log.Info("applied", "kind", ref.Kind, "made", ref.Namespace+"/"+ref.Name, "result", change.result)
		return
	}
	fields := abbreviate(change.fields())
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
	// found is what the live object has in the fields that differ.
	found map[string]any
}

// fields are the paths of those that differ.
func (c change) fields() []string { return slices.Sorted(maps.Keys(c.found)) }

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
	found := differences(k.GVK.Kind, fields, have)
	last := live.GetAnnotations()[v1alpha1.AnnotationIntent]
	switch {
	case len(found) == 0:
		return change{result: resultUnchanged}, nil
	case last == "" || last == want.GetAnnotations()[v1alpha1.AnnotationIntent]:
		return change{result: resultCorrected, found: found}, nil
	}
	return change{result: resultChanged, found: found}, nil
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
