package controllers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// editStatus is what kubectl edit --subresource=status does.
func (w *world) editStatus(exs *v1alpha1.ExposedService, f func(*v1alpha1.ExposedServiceStatus)) {
	w.t.Helper()
	w.eventually("change the status of "+exs.Name, func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		f(&exs.Status)
		return w.kube.Status().Update(w.t.Context(), exs, client.FieldOwner("kubectl-edit"))
	})
}

// saying is what a status says, without the times of transitions.
func saying(exs *v1alpha1.ExposedService) v1alpha1.ExposedServiceStatus {
	out := v1alpha1.ExposedServiceStatus{
		ObservedGeneration: exs.Status.ObservedGeneration, Endpoints: exs.Status.Endpoints, Addresses: exs.Status.Addresses,
	}
	for _, condition := range exs.Status.Conditions {
		condition.LastTransitionTime = metav1.Time{}
		out.Conditions = append(out.Conditions, condition)
	}
	slices.SortFunc(out.Conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	return out
}

func statusWrites(o *operator) int {
	n := 0
	for _, write := range o.transport.written() {
		if strings.HasSuffix(write, "/status") {
			n++
		}
	}
	return n
}

// What somebody else writes into the status, by hand or in a restore from a backup, is put right at once, and in as many
// writes as there are field managers. Nothing that Headgate writes itself wakes it.
func TestAStatusThatSomebodyEditsIsPutRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)
	if err := w.read(exs); err != nil {
		t.Fatal(err)
	}
	want := saying(exs)
	says := func(conditionType string, status metav1.ConditionStatus, message string) func(*v1alpha1.ExposedServiceStatus) {
		return func(s *v1alpha1.ExposedServiceStatus) {
			meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: conditionType, Status: status, Reason: "Edited", Message: message, ObservedGeneration: 1})
		}
	}
	loses := func(conditionType string) func(*v1alpha1.ExposedServiceStatus) {
		return func(s *v1alpha1.ExposedServiceStatus) { meta.RemoveStatusCondition(&s.Conditions, conditionType) }
	}
	for _, edit := range []struct {
		name string
		f    func(*v1alpha1.ExposedServiceStatus)
	}{
		{"Ready is another", says(v1alpha1.ConditionReady, metav1.ConditionFalse, "it is not")},
		{"Accepted is gone", loses(v1alpha1.ConditionAccepted)},
		{"Stalled is added", says(v1alpha1.ConditionStalled, metav1.ConditionTrue, "it hangs")},
		{"both managers' optional ones are added", func(s *v1alpha1.ExposedServiceStatus) {
			says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, "")(s)
			says(v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, "")(s)
			says(v1alpha1.ConditionProgressing, metav1.ConditionTrue, "")(s)
			says(v1alpha1.ConditionSignalsAvailable, metav1.ConditionTrue, "")(s)
		}},
		{"BackendsHealthy is another", says(v1alpha1.ConditionBackendsHealthy, metav1.ConditionFalse, "they are not")},
		{"FailedOver is gone", loses(v1alpha1.ConditionFailedOver)},
		{"the sum is another", func(s *v1alpha1.ExposedServiceStatus) { s.Endpoints = "none" }},
		{"the addresses are gone", func(s *v1alpha1.ExposedServiceStatus) { s.Addresses = nil }},
		{"all conditions are gone", func(s *v1alpha1.ExposedServiceStatus) { s.Conditions = nil }},
	} {
		t.Run(edit.name, func(t *testing.T) {
			writes, runs := statusWrites(o), o.runs.Of(client.ObjectKeyFromObject(exs))
			w.editStatus(exs, edit.f)
			w.eventually("it is put right", func() error {
				if err := w.read(exs); err != nil {
					return err
				}
				if diff := cmp.Diff(want, saying(exs)); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
			w.untilQuiet(o)
			// One apply of each field manager, and the removal of what is another's.
			if n := statusWrites(o) - writes; n > 4 {
				t.Errorf("it took %d writes of the status", n)
			}
			if n := o.runs.Of(client.ObjectKeyFromObject(exs)) - runs; n > 6 {
				t.Errorf("it took %d runs", n)
			}
		})
	}
}

// A write that a leader has sent, and that arrives when another one leads, is refused: what it says is old.
func TestALateWriteOfAFormerLeaderLoses(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	former := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(former)

	former.transport.catchStatusOf("headgate-exposure")
	w.delete(w.service("primary-svc"))
	w.eventually("the former leader has something to say", func() error {
		if former.transport.hasCaught() == 0 {
			return errors.New("it has not sent anything")
		}
		return nil
	})
	former.stop()

	w.create(w.service("primary-svc"))
	w.delete(w.service("backup-svc"))
	o := w.startOperator(withOldServices)
	w.untilNotAccepted(exs, v1alpha1.ReasonBackendNotFound, "backup-svc")
	// A switch is written once more when it has settled, which takes seconds.
	w.eventually("the switch has settled", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if exs.Status.Traffic == nil || exs.Status.Traffic.Settling != "" {
			return fmt.Errorf("the decision is %+v", exs.Status.Traffic)
		}
		return nil
	})
	w.untilQuiet(o)
	writes := statusWrites(o)
	code, err := former.transport.release()
	if err != nil || code != http.StatusConflict {
		t.Errorf("it is answered %d, %v", code, err)
	}
	w.untilQuiet(o)
	if err := w.conditionIs(exs, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonBackendNotFound, "backup-svc"); err != nil {
		t.Error(err)
	}
	if n := statusWrites(o) - writes; n > 0 {
		t.Errorf("it was written %d times to put it right", n)
	}
}
