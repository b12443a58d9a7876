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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/queue/queuetest"
	"github.com/headgate/headgate/gateway"
)

// podReader answers from a list of pods and counts the questions.
type podReader struct {
	pods        []corev1.Pod
	gets, lists int
}

func (r *podReader) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	r.gets++
	for i := range r.pods {
		if r.pods[i].Name == key.Name {
			*object.(*corev1.Pod) = r.pods[i]
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, key.Name)
}

func (r *podReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	r.lists++
	list.(*corev1.PodList).Items = r.pods
	return nil
}

func TestProbes(t *testing.T) {
	const port = 50051
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "svc"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "x"}, Ports: []corev1.ServicePort{{Name: "grpc", Port: 443}}},
	}
	pod := func(uid string, probes ...*corev1.GRPCAction) corev1.Pod {
		out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod-" + uid, UID: types.UID(uid)}}
		for _, probe := range probes {
			out.Spec.Containers = append(out.Spec.Containers, corev1.Container{ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: probe}}})
		}
		return out
	}
	grpc := func(port int32, service *string) *corev1.GRPCAction {
		return &corev1.GRPCAction{Port: port, Service: service}
	}
	slice := func(uids ...string) discoveryv1.EndpointSlice {
		out := discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(port))}}}
		for _, uid := range uids {
			endpoint := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}
			if uid != "" {
				endpoint.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "pod-" + uid, UID: types.UID(uid)}
			}
			out.Endpoints = append(out.Endpoints, endpoint)
		}
		return out
	}
	leaving := slice("b")
	leaving.Endpoints[0].Conditions.Terminating = ptr.To(true)
	former := slice("b") // It has not followed the Service's new names yet.
	former.Ports[0].Name = ptr.To("main")

	for name, c := range map[string]struct {
		pods   []corev1.Pod
		slices []discoveryv1.EndpointSlice
		want   gateway.Probe
	}{
		"no endpoints":                  {want: gateway.Probe{}},
		"all agree":                     {[]corev1.Pod{pod("a", grpc(port, ptr.To("s"))), pod("b", grpc(port, ptr.To("s")))}, []discoveryv1.EndpointSlice{slice("a"), slice("b")}, gateway.Probe{State: gateway.ProbeGRPC, Service: "s"}},
		"no name is a name":             {[]corev1.Pod{pod("a", grpc(port, nil))}, []discoveryv1.EndpointSlice{slice("a")}, gateway.Probe{State: gateway.ProbeGRPC}},
		"they disagree":                 {[]corev1.Pod{pod("a", grpc(port, nil)), pod("b", grpc(port, ptr.To("s")))}, []discoveryv1.EndpointSlice{slice("a", "b")}, gateway.Probe{State: gateway.ProbeNone}},
		"one has none":                  {[]corev1.Pod{pod("a", grpc(port, nil)), pod("b")}, []discoveryv1.EndpointSlice{slice("a", "b")}, gateway.Probe{State: gateway.ProbeNone}},
		"a probe of another port":       {[]corev1.Pod{pod("a", grpc(9999, nil))}, []discoveryv1.EndpointSlice{slice("a")}, gateway.Probe{State: gateway.ProbeNone}},
		"a sidecar's probe beside ours": {[]corev1.Pod{pod("a", grpc(9999, nil), grpc(port, ptr.To("s")))}, []discoveryv1.EndpointSlice{slice("a")}, gateway.Probe{State: gateway.ProbeGRPC, Service: "s"}},
		"a pod that is gone":            {[]corev1.Pod{pod("a", grpc(port, nil))}, []discoveryv1.EndpointSlice{slice("a", "gone")}, gateway.Probe{State: gateway.ProbeGRPC}},
		"only pods that are gone":       {nil, []discoveryv1.EndpointSlice{slice("gone")}, gateway.Probe{}},
		"a pod that is leaving":         {[]corev1.Pod{pod("a", grpc(port, nil)), pod("b")}, []discoveryv1.EndpointSlice{slice("a"), leaving}, gateway.Probe{State: gateway.ProbeGRPC}},
		"a pod of a renamed port":       {[]corev1.Pod{pod("a", grpc(port, nil)), pod("b")}, []discoveryv1.EndpointSlice{slice("a"), former}, gateway.Probe{State: gateway.ProbeNone}},
		"an endpoint that is no pod":    {[]corev1.Pod{pod("a", grpc(port, nil))}, []discoveryv1.EndpointSlice{slice("a", "")}, gateway.Probe{State: gateway.ProbeNone}},
	} {
		t.Run(name, func(t *testing.T) {
			probes := NewProbes(&podReader{pods: c.pods}, clock.RealClock{})
			first := probes.probe(asker, service, c.slices, 443)
			if probes.queue.Len() > 0 {
				if !first.awaited {
					t.Errorf("before the pods are read: %+v", first)
				}
				queue.Next(t.Context(), probes.queue, probes.readPods)
			}
			if got := probes.probe(asker, service, c.slices, 443); got != (probeAnswer{probe: c.want}) {
				t.Errorf("probe is %+v, want %+v", got, c.want)
			}
		})
	}

	t.Run("each pod is asked once", func(t *testing.T) {
		reader := &podReader{}
		probes := NewProbes(reader, clock.RealClock{})
		ask := func(uids ...string) {
			t.Helper()
			probes.probe(asker, service, []discoveryv1.EndpointSlice{slice(uids...)}, 443)
			if probes.queue.Len() > 0 {
				queue.Next(t.Context(), probes.queue, probes.readPods)
			}
		}
		var uids []string
		for i := range 10 {
			uids = append(uids, fmt.Sprint(i))
			reader.pods = append(reader.pods, pod(fmt.Sprint(i), grpc(port, nil)))
		}
		ask(uids...)
		ask(uids...)
		if reader.lists != 1 || reader.gets != 0 {
			t.Errorf("%d lists and %d gets for ten pods, want one list", reader.lists, reader.gets)
		}
		reader.pods = append(reader.pods, pod("new", grpc(port, nil)))
		ask(append(uids[1:], "new", "gone")...)
		ask(append(uids[1:], "new", "gone")...)
		if reader.lists != 1 || reader.gets != 2 {
			t.Errorf("%d lists and %d gets for two more pods, want two gets", reader.lists, reader.gets)
		}
		ask(uids...)
		if reader.gets != 3 {
			t.Errorf("a pod that was gone was not forgotten")
		}
	})
}

// failingReader cannot read pods.
type failingReader struct{ podReader }

func (r *failingReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	r.gets++
	return errors.New("the API server is away")
}

func TestPodsThatCannotBeReadAreToldAndTriedAgain(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(0, 0))
	reader := &failingReader{}
	probes := NewProbes(reader, clock)
	untilTimed := queuetest.Timers(clock)
	service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}
	slices := []discoveryv1.EndpointSlice{{
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(443))}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "a", UID: "a"},
		}},
	}}
	probes.probe(asker, service, slices, 443)
	queue.Next(t.Context(), probes.queue, probes.readPods)
	got := probes.probe(asker, service, slices, 443)
	if got.awaited || got.err == nil || got.probe != (gateway.Probe{}) || probes.queue.Len() != 0 {
		t.Errorf("after a failure: %+v, %d to do", got, probes.queue.Len())
	}
	untilTimed()
	clock.Step(firstPodsRetry)
	queue.Next(t.Context(), probes.queue, probes.readPods)
	if reader.gets != 2 {
		t.Errorf("%d tries", reader.gets)
	}
	probes.forget(asker)
	if len(probes.known)+len(probes.asked) != 0 {
		t.Error("what nobody asks about is not forgotten")
	}
}

// asker is whoever asks in a test.
var asker = user{wake: &queue.WakeUps{}}
