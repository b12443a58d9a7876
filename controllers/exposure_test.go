package controllers

import (
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/dataplane"
)

// made reads the objects of a world that carry our labels, by kind and name.
func (w *world) made(exs *v1alpha1.ExposedService) map[string]client.Object {
	w.t.Helper()
	out := map[string]client.Object{}
	for _, k := range kube.MadeKinds() {
		dataplane.Each(w.t.Context(), w.kube, k.NewList(), "", func(object client.Object) {
			if kube.OwnerFromLabels(object) == client.ObjectKeyFromObject(exs) {
				out[k.GVK.Kind+" "+object.GetName()] = object
			}
		})
	}
	return out
}

func TestEverythingIsMadeAndBecomesReady(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)

	made := w.made(exs)
	for _, name := range []string{
		"Gateway greeter", "GRPCRoute greeter", "EnvoyProxy greeter", "BackendTrafficPolicy greeter", "EnvoyPatchPolicy greeter",
		"Backend greeter-fallback", "Service greeter-primary-gw", "Service greeter-backup-gw",
		"EndpointSlice greeter-primary-gw-placeholder", "EndpointSlice greeter-backup-gw-placeholder",
	} {
		object, ok := made[name]
		if !ok {
			t.Errorf("%s was not made", name)
			continue
		}
		owner := metav1.GetControllerOf(object)
		if owner == nil || owner.UID != exs.UID || owner.BlockOwnerDeletion == nil || !*owner.BlockOwnerDeletion {
			t.Errorf("%s has the owner %+v, want ExposedService %s", name, owner, exs.UID)
		}
		if object.GetAnnotations()[v1alpha1.AnnotationIntent] == "" {
			t.Errorf("%s does not carry the hash of its intent", name)
		}
		delete(made, name)
	}
	for name, object := range made {
		if _, isSlice := object.(*discoveryv1.EndpointSlice); !isSlice {
			t.Errorf("%s was made, and nobody asked for it", name)
		}
	}
	if exs.Status.Failover == nil || exs.Status.Failover.Mode != v1alpha1.FailoverPriorities || exs.Status.Failover.Fallback != "backup" {
		t.Errorf("failover is %+v, want Priorities with fallback backup", exs.Status.Failover)
	}
	if len(exs.Status.Addresses) != 1 || exs.Status.Addresses[0].Value != "192.0.2.10" {
		t.Errorf("addresses are %v, want those of the Gateway", exs.Status.Addresses)
	}
	if len(exs.Finalizers) != 0 {
		t.Errorf("finalizers %v: nothing is in another namespace", exs.Finalizers)
	}
	w.eventually("the event Exposed", func() error {
		if len(w.eventNotes(exs, "Exposed")) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}

// TestSettledObjectCausesNoWrites waits a few seconds; HEADGATE_QUIET=1m makes it the full minute.
func TestSettledObjectCausesNoWrites(t *testing.T) {
	t.Parallel()
	quiet := 3 * time.Second
	if text := os.Getenv("HEADGATE_QUIET"); text != "" {
		var err error
		if quiet, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilSettled(o)

	before := o.transport.written()
	// A change that matters to nobody makes it run, and still it must not write.
	edit(w, w.service("primary-svc"), func(service *corev1.Service) { service.Labels = map[string]string{"stir": "once"} })
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	<-timer.C
	after := o.transport.written()
	if len(after) != len(before) {
		t.Errorf("%d writes in %s of quiet: %v", len(after)-len(before), quiet, after[len(before):])
	}
	t.Logf("%d writes until settled, %d in %s after that; %d runs", len(before), len(after)-len(before), quiet, o.runs.Of(client.ObjectKeyFromObject(exs)))
}

func TestUpdateReachesEveryObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)

	edit(w, exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Backends = exs.Spec.Backends[:1]
		exs.Spec.Hostnames = []v1alpha1.Hostname{"other.example.com"}
	})
	w.untilReady(exs)
	w.eventually("what belonged to the backup is removed", func() error {
		made := w.made(exs)
		for _, name := range []string{"Backend greeter-fallback", "Service greeter-backup-gw", "EndpointSlice greeter-backup-gw-placeholder"} {
			if _, there := made[name]; there {
				return fmt.Errorf("%s is still there", name)
			}
		}
		if made["Service greeter-primary-gw"] == nil {
			return fmt.Errorf("the primary's Service is gone")
		}
		return nil
	})
	w.eventually("the event Removed", func() error {
		if notes := w.eventNotes(exs, kube.ReasonRemoved); len(notes) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}

// TestSlicesOfTheClusterAreNotOurs: the cluster's endpointslice controller copies the labels of a
// Service to the slices that it makes for it.
func TestSlicesOfTheClusterAreNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	service := w.service("greeter-primary-gw")
	if err := w.read(service); err != nil {
		t.Fatal(err)
	}
	slice := w.slice(service.Name, "10.1.0.1")
	for key, value := range service.Labels {
		slice.Labels[key] = value
	}
	slice.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, kube.KindService.GVK)}
	w.untilQuiet(o)
	before := o.runs.Of(client.ObjectKeyFromObject(exs))
	w.create(slice)
	w.eventually("the slice is seen", func() error {
		if o.runs.Of(client.ObjectKeyFromObject(exs)) == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	w.untilQuiet(o)
	if err := w.read(slice); err != nil {
		t.Errorf("the cluster's EndpointSlice: %v", err)
	}
	if kube.OwnershipOf(slice, exs) != kube.Foreign {
		t.Errorf("the cluster's EndpointSlice counts as ours")
	}
	if slice.Labels[discoveryv1.LabelManagedBy] == gateway.SliceManager {
		t.Errorf("the cluster's EndpointSlice was taken over")
	}
}
