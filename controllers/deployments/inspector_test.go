package deployments

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout"
)

// listReader answers lists from memory, and counts them.
type listReader struct {
	client.Reader
	pods  []corev1.Pod
	sets  []appsv1.ReplicaSet
	err   error
	lists int
}

func (r *listReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	r.lists++
	if r.err != nil {
		return r.err
	}
	switch list := list.(type) {
	case *corev1.PodList:
		list.Items = slices.Clone(r.pods)
	case *appsv1.ReplicaSetList:
		list.Items = slices.Clone(r.sets)
	}
	return nil
}

// scene is an ExposedService whose canary has the weight of a step, and no pod that is ready.
type scene struct {
	*Follower
	t      *testing.T
	reader *listReader
	clock  *clocktesting.FakeClock
	wakes  func() []string
	exs    *v1alpha1.ExposedService
	state  State
}

func newScene(t *testing.T) *scene {
	t.Helper()
	wake, requests := &queue.WakeUps{}, newQueue(t)
	if err := wake.Start(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	s := &scene{
		t: t, reader: &listReader{}, clock: clocktesting.NewFakeClock(time.Unix(1000, 0)), wakes: func() []string { return woken(requests) },
		exs: &v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "exs"},
			Spec:       v1alpha1.ExposedServiceSpec{Rollout: &v1alpha1.Rollout{}},
			Status:     v1alpha1.ExposedServiceStatus{Rollout: &v1alpha1.RolloutStatus{Weight: 10_000, Stable: "stable"}},
		},
	}
	s.Follower = &Follower{Inspector: NewInspector(s.reader, s.clock, wake)}
	t.Cleanup(s.Inspector.queue.ShutDown)
	s.state.canary = newDeployment("svc-canary", 1)
	s.state.canary.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: "greeter", v1alpha1.LabelOwnerNamespace: "shop",
	}
	s.state.canary.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindExposedService, Name: "greeter", UID: "exs", Controller: ptr.To(true),
	}}
	return s
}

func newDeployment(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name), ResourceVersion: "1"},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}
}

// canary is the canary as it is observed now.
func (s *scene) canary() rollout.Canary {
	_, out := s.Observe(s.exs, s.state)
	return out
}

// read does what is in the queue.
func (s *scene) read() {
	for s.Inspector.queue.Len() > 0 {
		queue.Next(s.t.Context(), s.Inspector.queue, s.Inspector.inspect)
	}
}

func crashing(name string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
	}}}}
}

func TestPodsAreReadBesideThoseWhoDecide(t *testing.T) {
	s := newScene(t)
	s.reader.pods = []corev1.Pod{crashing("a")}
	if got := s.canary(); got.Known || got.Why != "its pods have not been read yet" || s.reader.lists != 0 {
		t.Errorf("before they are read, after %d lists: %+v", s.reader.lists, got)
	}
	s.read()
	if got := s.wakes(); !slices.Equal(got, []string{"greeter"}) {
		t.Errorf("woken are %q", got)
	}
	if got := s.canary(); !got.Known || got.Trouble == nil || got.Trouble.Kind != rollout.TroubleCrashLoop {
		t.Errorf("when they are read: %+v", got)
	}

	// The same is no news, and is not asked for before its time.
	s.clock.Step(PodsPeriod - time.Millisecond)
	s.canary()
	s.read()
	s.clock.Step(time.Millisecond)
	if got := s.canary(); got.Trouble == nil {
		t.Errorf("while they are read again: %+v", got)
	}
	s.read()
	if got := s.wakes(); s.reader.lists != 2 || len(got) > 0 {
		t.Errorf("after %d lists are woken %q", s.reader.lists, got)
	}

	// What was read of another version is not taken for this one.
	s.state.canary.ResourceVersion, s.state.canary.Status = "2", appsv1.DeploymentStatus{ReadyReplicas: 1, UpdatedReplicas: 1}
	s.state.canary.Spec.Replicas = ptr.To[int32](2)
	if got := s.canary(); !got.Known || got.Trouble != nil || got.Ready != 1 {
		t.Errorf("of another version: %+v", got)
	}
	s.state.canary.Spec.Replicas = ptr.To[int32](1)
	s.canary()
	if len(s.Inspector.known) > 0 {
		t.Errorf("what does not matter any more is remembered: %+v", s.Inspector.known)
	}
}

// A read that hangs keeps nobody from seeing that the canary has no pods.
func TestALostCanaryDoesNotWaitForItsPods(t *testing.T) {
	s := newScene(t)
	if got := s.canary(); got.Known {
		t.Errorf("at first: %+v", got)
	}
	s.clock.Step(PodsPeriod)
	if got := s.canary(); !got.Known || got.Ready != 0 {
		t.Errorf("after a moment: %+v", got)
	}
	s.exs.Status.Rollout.Weight = 0
	s.state.canary.ResourceVersion = "2"
	if got := s.canary(); !got.Known {
		t.Errorf("without calls: %+v", got)
	}
}

func TestPodsThatCannotBeReadAreTriedAgainAndNamed(t *testing.T) {
	s := newScene(t)
	s.reader.err = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no right"))
	s.state.canary.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Reason: reasonDeadline, Message: "timed out"}}
	s.canary()
	s.read()
	if got := s.canary(); !got.Known || got.Trouble == nil || got.Trouble.Words != "timed out" {
		t.Errorf("what the Deployment says: %+v", got)
	}
	if s.Inspector.queue.Len() > 0 || s.reader.lists != 1 {
		t.Errorf("tried again at once: %d lists", s.reader.lists)
	}
	var out kube.Step
	(&following{Follower: s.Follower, exs: s.exs, out: &out}).sayUnread()
	if len(out.Problems) != 1 || !strings.Contains(out.Problems[0].Message, "no right") || len(out.Errs) > 0 {
		t.Errorf("it is told as %+v", out)
	}
	s.wakes()
	s.reader.err = nil
	// The queue hears of the time in a goroutine of its own.
	for !s.clock.HasWaiters() {
		runtime.Gosched()
	}
	s.clock.Step(lastReadRetry)
	queue.Next(t.Context(), s.Inspector.queue, s.Inspector.inspect)
	if got := s.wakes(); !slices.Equal(got, []string{"greeter"}) || s.Inspector.failure(user("greeter")) != nil {
		t.Errorf("after it may be read: woken %q, %v", got, s.Inspector.failure(user("greeter")))
	}
	s.isForgotten()
}

// isForgotten fails the test if something is remembered after the ExposedService is gone, or noted after that.
func (s *scene) isForgotten() {
	s.t.Helper()
	s.state.canary.ResourceVersion = "3"
	s.canary()
	s.Inspector.forget(user("greeter"))
	s.read()
	if got := s.wakes(); len(got) > 0 || len(s.Inspector.known) > 0 {
		s.t.Errorf("after it is gone: woken %q, known %v", got, s.Inspector.known)
	}
}

func TestTheRevisionThatAHeldDeploymentRunsIsReadBesideThoseWhoDecide(t *testing.T) {
	s := newScene(t)
	d := newDeployment("svc", 2)
	d.Spec.Paused = true
	d.Status = appsv1.DeploymentStatus{Replicas: 2}
	d.Spec.Template = templateOf("app:2")
	s.state.deployment, s.exs.Status.Rollout.Stable = d, ""
	for i, image := range []string{"app:1", "app:2"} {
		s.reader.sets = append(s.reader.sets, appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Name: image, OwnerReferences: []metav1.OwnerReference{{UID: d.UID, Controller: ptr.To(true)}}},
			Spec:       appsv1.ReplicaSetSpec{Template: templateOf(image)}, Status: appsv1.ReplicaSetStatus{Replicas: int32(2 - 2*i)},
		})
	}
	observed := func() rollout.Workload {
		out, _ := s.Observe(s.exs, s.state)
		return out
	}
	if got := observed(); got.Known || got.Why != "its ReplicaSets have not been read yet" || s.reader.lists > 0 {
		t.Errorf("before they are read: %+v", got)
	}
	s.read()
	got := observed()
	if !got.Known || got.Running == "" || got.Running == got.Revision {
		t.Errorf("when they are read: %+v", got)
	}
	s.exs.Status.Rollout.Stable = got.Running
	observed()
	if have := s.Inspector.known[inspection{user("greeter"), inspectReplicaSets}]; have != nil {
		t.Errorf("what does not matter any more is remembered: %+v", have)
	}
}

func templateOf(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}}}
}
