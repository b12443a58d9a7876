package faults

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// TestAPatchThatIsNotSeenHasAFinalizer: while the watches of EnvoyPatchPolicies bring nothing, the one beside a shared Gateway is never
// without the finalizer that has it removed: once it is held, no version of the ExposedService lacks it.
func TestAPatchThatIsNotSeenHasAFinalizer(t *testing.T) {
	playUndisturbed(t, exposeOnShared)
	without := referenceOf(t, exposeOnShared)
	s := newStage(t, exposeOnShared)
	s.restart()
	s.rest(s.operator)
	s.operator.transport.holdWatches("envoypatchpolicies")
	versions, err := s.kube.Watch(t.Context(), &v1alpha1.ExposedServiceList{}, client.InNamespace(s.namespace))
	if err != nil {
		t.Fatal(err)
	}
	s.begin(s)
	s.eventually("the patch", func() error {
		var list egv1a1.EnvoyPatchPolicyList
		if err := s.kube.List(t.Context(), &list, client.InNamespace(s.infra)); err != nil || len(list.Items) == 0 {
			return errors.Join(errors.New("it is not there yet"), err)
		}
		return nil
	})
	for range 3 {
		before := s.operator.runs.Sum()
		s.poke()
		s.eventually("it is looked at again", func() error {
			if s.operator.runs.Sum() == before || s.operator.runs.GoingOn() > 0 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	s.operator.transport.releaseWatches()
	s.finish(without.want)
	s.poke() // The last version that is waited for.
	last := strconv.Itoa(s.pokes)
	held := false
	for event := range versions.ResultChan() {
		exs, ok := event.Object.(*v1alpha1.ExposedService)
		if !ok {
			t.Fatalf("the watch brings %s %T", event.Type, event.Object)
		}
		now := slices.Contains(exs.Finalizers, v1alpha1.Finalizer)
		if held && !now {
			t.Errorf("version %s has no finalizer any more", exs.ResourceVersion)
		}
		held = now
		if exs.Annotations[v1alpha1.AnnotationRetry] == last {
			versions.Stop()
			break
		}
	}
}
