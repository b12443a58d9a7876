package facts

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/gateway"
)

// services are those of a cluster. The EndpointSlice of each is called after it. It notes which ones were read.
type services struct {
	objects map[string]*corev1.Service
	read    []string
}

func (s *services) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.read = append(s.read, key.Name)
	have, service := s.objects[key.Name], into
	out, ok := service.(*corev1.Service)
	if have == nil || !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, key.Name)
	}
	have.DeepCopyInto(out)
	return nil
}

func (s *services) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	list, ok := into.(*discoveryv1.EndpointSliceList)
	if !ok {
		return errors.New("nothing else is listed")
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	list.Items = []discoveryv1.EndpointSlice{{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(asked.FieldSelector)}}}
	return nil
}

// The slots are read as places, whoever is in them, and no Service of a canary is asked for, which only somebody who has made one has.
func TestSlotsAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*v1alpha1.ExposedService)
		slots  map[v1alpha1.Slot]bool
		canary bool
	}{
		"nothing is shipped": {func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout = nil }, nil, false},
		"a workload":         {func(*v1alpha1.ExposedService) {}, map[v1alpha1.Slot]bool{v1alpha1.SlotBlue: true, v1alpha1.SlotGreen: true}, false},
		"nobody is shipped any more, and somebody is in Green": {func(exs *v1alpha1.ExposedService) {
			exs.Spec.Rollout, exs.Status.Traffic = nil, &v1alpha1.TrafficStatus{Slot: v1alpha1.SlotGreen}
		}, map[v1alpha1.Slot]bool{v1alpha1.SlotBlue: true, v1alpha1.SlotGreen: true}, false},
		"a canary of the user's own": {func(exs *v1alpha1.ExposedService) {
			exs.Spec.Rollout = &v1alpha1.Rollout{Canary: &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: "next", Port: 50051}}, Revision: ptr.To("2")}
			exs.Status.Rollout = &v1alpha1.RolloutStatus{Target: "Service/next:50051"}
		}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
			exs.Spec.XDS = &v1alpha1.XDS{}
			exs.Spec.Backends = []v1alpha1.Backend{{Name: "primary", Service: &v1alpha1.ServiceBackend{Name: "greeter", Port: 50051}}}
			exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}}
			exs.Status.Rollout = nil
			c.change(exs)
			cluster := &services{objects: map[string]*corev1.Service{"greeter": {}, "next": {}}}
			clock := clocktesting.NewFakeClock(time.Unix(1_000_000, 0))
			reader := Reader{
				Client: cluster, Kinds: kube.NewServedKinds(nil), Clock: clock, Wake: &queue.WakeUps{},
				Hosts: NewHosts(nil, HostPolicy{}, clock, metrics.New()), Probes: NewProbes(cluster, clock),
			}
			found, err := reader.Read(t.Context(), exs, Asked{XDS: true, Own: func(name string) *corev1.Service {
				return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Slots) != len(c.slots) {
				t.Fatalf("the slots are %v", found.Slots)
			}
			for slot := range c.slots {
				have, want := found.Slots[slot], gateway.SlotServiceName(exs, slot)
				if have.Service.Name != want || len(have.Slices) != 1 || have.Slices[0].Name != "headgate.service="+want || have.IsNew {
					t.Errorf("%s is %+v", slot, have)
				}
			}
			if got := found.Canary != nil; got != c.canary {
				t.Errorf("it has a canary of its own: %t", got)
			}
			for _, name := range cluster.read {
				if name != "greeter" && (name != "next" || !c.canary) {
					t.Errorf("Service %s was read", name)
				}
			}
		})
	}
}
