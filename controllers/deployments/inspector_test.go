package deployments

import (
	"context"
	"errors"
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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/queue/queuetest"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// cluster answers reads from memory, and counts the lists of ReplicaSets. It answers writes with what the policy makes of them.
type cluster struct {
	client.Reader
	client.Writer
	deployment *appsv1.Deployment
	pods       []corev1.Pod
	sets       []appsv1.ReplicaSet
	err        error
	lists      int
	// policy: changed pod templates are held. refusal is why nobody may ask; asked is how often that was.
	policy  bool
	refusal error
	asked   int
}

func (c *cluster) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	d, ok := object.(*appsv1.Deployment)
	if !ok || c.deployment == nil {
		return apierrors.NewNotFound(schema.GroupResource{}, "")
	}
	c.deployment.DeepCopyInto(d)
	return c.err
}

func (c *cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *corev1.PodList:
		list.Items = slices.Clone(c.pods)
	case *appsv1.ReplicaSetList:
		c.lists++
		list.Items = slices.Clone(c.sets)
	}
	return c.err
}

func (c *cluster) Patch(_ context.Context, object client.Object, _ client.Patch, options ...client.PatchOption) error {
	asked := (&client.PatchOptions{}).ApplyOptions(options)
	if len(asked.DryRun) == 0 || asked.FieldManager != probeManager {
		panic("a question is no write")
	}
	c.asked++
	object.(*appsv1.Deployment).Spec.Paused = c.policy
	return c.refusal
}

// scene is an ExposedService in the middle of a rollout of a Deployment with two versions.
type scene struct {
	*Follower
	t       *testing.T
	cluster *cluster
	clock   *clocktesting.FakeClock
	wakes   func() []string
	exs     *v1alpha1.ExposedService
	state   State
}

func newScene(t *testing.T) *scene {
	t.Helper()
	wake, requests := &queue.WakeUps{}, newQueue(t)
	if err := wake.Start(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	d := newDeployment("svc", 4)
	d.Spec.Template = templateOf("app:2")
	s := &scene{
		t: t, clock: clocktesting.NewFakeClock(time.Unix(1000, 0)), wakes: func() []string { return woken(requests) },
		cluster: &cluster{deployment: d, sets: []appsv1.ReplicaSet{*setOf(d, "old", "app:1", 4, 1), *setOf(d, "new", "app:2", 1, 2)}},
		exs: &v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "exs"},
			Spec: v1alpha1.ExposedServiceSpec{
				Backends: []v1alpha1.Backend{{Name: "primary"}}, Rollout: &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "svc"}},
			},
			Status: v1alpha1.ExposedServiceStatus{
				Rollout: &v1alpha1.RolloutStatus{Target: "Deployment/svc", Phase: v1alpha1.RolloutStepping, Stable: revisionOf(t, "app:1"), Revision: revisionOf(t, "app:2")},
				Traffic: &v1alpha1.TrafficStatus{StableHash: "old", CanaryHash: "new"},
			},
		},
		state: State{deployment: d.DeepCopy()},
	}
	s.Follower = &Follower{Inspector: NewInspector(s.cluster, s.cluster, s.clock, wake)}
	t.Cleanup(s.Inspector.queue.ShutDown)
	return s
}

func newDeployment(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name), ResourceVersion: "1"},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Paused: true, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}
}

// setOf is a ReplicaSet of a Deployment, with as many pods as it is to have.
func setOf(d *appsv1.Deployment, hash, image string, replicas int32, age int64) *appsv1.ReplicaSet {
	template := templateOf(image)
	template.Labels = map[string]string{workload.LabelTemplateHash: hash}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: d.Name + "-" + hash, UID: types.UID(hash), Labels: template.Labels, CreationTimestamp: metav1.Unix(age, 0),
			OwnerReferences: []metav1.OwnerReference{workload.OwnedBy(d)},
			Annotations:     map[string]string{workload.AnnotationDesired: "4", workload.AnnotationMost: "5"},
		},
		Spec:   appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template},
		Status: appsv1.ReplicaSetStatus{Replicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas},
	}
}

func templateOf(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}}}
}

func revisionOf(t *testing.T, image string) string {
	t.Helper()
	template := templateOf(image)
	out, err := workload.Revision(&template, "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// observe is what is observed now.
func (s *scene) observe() (rollout.Workload, rollout.Canary) { return s.Observe(s.exs, s.state) }

// read does what is in the queue.
func (s *scene) read() {
	for s.Inspector.queue.Len() > 0 {
		queue.Next(s.t.Context(), s.Inspector.queue, s.Inspector.inspect)
	}
}

func TestVersionsAreReadBesideThoseWhoDecide(t *testing.T) {
	s := newScene(t)
	w, c := s.observe()
	if !w.Known || w.Stable.Hash != "" || w.Next != "" || c.Known || s.cluster.lists != 0 {
		t.Errorf("before they are read, after %d lists: %+v %+v", s.cluster.lists, w, c)
	}
	s.read()
	if got := s.wakes(); !slices.Equal(got, []string{"greeter"}) {
		t.Errorf("woken are %q", got)
	}
	w, c = s.observe()
	if w.Stable != (rollout.ReplicaSet{Hash: "old", Wants: 4, Ready: 4, Available: 4}) || w.Next != "new" || w.Others != 4 || w.Running != "" {
		t.Errorf("when they are read: %+v", w)
	}
	if !c.Known || !c.Found || c.Revision != s.exs.Status.Rollout.Revision || c.Wants != 1 || c.Ready != 1 {
		t.Errorf("when they are read: %+v", c)
	}

	// The same is no news, and is not asked for before its time.
	s.clock.Step(VersionsPeriod - time.Millisecond)
	s.observe()
	s.read()
	s.clock.Step(time.Millisecond)
	s.observe()
	s.read()
	if got := s.wakes(); s.cluster.lists != 2 || len(got) > 0 {
		t.Errorf("after %d lists are woken %q", s.cluster.lists, got)
	}
}

// A Deployment in a newer version and ReplicaSets from before would be two halves of what never was.
func TestWhatIsObservedIsOfOneReading(t *testing.T) {
	s := newScene(t)
	s.observe()
	s.read()
	s.state.deployment.ResourceVersion, *s.state.deployment.Spec.Replicas = "2", 8
	if w, c := s.observe(); w.Replicas != 4 || w.Stable.Wants != 4 || !c.Known {
		t.Errorf("before it is read again: %+v %+v", w, c)
	}
	s.clock.Step(versionsStale + time.Millisecond)
	if w, c := s.observe(); w.Replicas != 8 || w.Stable.Hash != "" || c.Known {
		t.Errorf("when the reading is old: %+v %+v", w, c)
	}
	s.cluster.deployment = s.state.deployment.DeepCopy()
	s.cluster.sets = []appsv1.ReplicaSet{*setOf(s.state.deployment, "old", "app:1", 6, 1), *setOf(s.state.deployment, "new", "app:2", 4, 2)}
	s.read()
	if w, c := s.observe(); w.Replicas != 8 || w.Stable.Wants != 6 || c.Wants != 4 {
		t.Errorf("when it is read again: %+v %+v", w, c)
	}
}

// The Deployment counts for some time what has ended, so that a promotion would be over before its last pod is there.
func TestPodsAreCountedByTheirReplicaSets(t *testing.T) {
	s := newScene(t)
	s.cluster.deployment.Status.AvailableReplicas, s.cluster.deployment.Status.ReadyReplicas = 4, 4
	s.cluster.sets = []appsv1.ReplicaSet{*setOf(s.cluster.deployment, "old", "app:1", 0, 1), *setOf(s.cluster.deployment, "new", "app:2", 4, 2)}
	s.cluster.sets[1].Status.ReadyReplicas, s.cluster.sets[1].Status.AvailableReplicas = 4, 3
	s.observe()
	s.read()
	if w, _ := s.observe(); w.Others != 0 || w.Begun != 4 || w.Ready != 4 || w.Available != 3 {
		t.Errorf("%+v", w)
	}
}

// A revert of the pod template keeps the time of the last restart. Other configuration is another version, restarted or not.
func TestATemplateIsKnownAgainAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		image, restarted  string
		stable, config    string
		previous, restart bool
	}{
		"of the history":                        {"app:1", "", "app:2", "", true, false},
		"restarted since":                       {"app:1", "now", "app:2", "", true, false},
		"another one":                           {"app:3", "now", "app:2", "", false, false},
		"of the history, in another setting":    {"app:1", "", "app:2", "-c0", false, false},
		"a restart of stable":                   {"app:2", "now", "app:2", "", false, true},
		"a restart of stable, in a new setting": {"app:2", "now", "app:2", "-c0", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDeployment("svc", 4)
			d.Spec.Template = templateOf(c.image)
			if c.restarted != "" {
				d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": c.restarted}
			}
			v := &versions{deployment: d, sets: []version{own("first", "app:1", 0, 1), own("second", "app:2", 4, 2)}}
			revision, err := workload.Revision(&d.Spec.Template, "")
			if err != nil {
				t.Fatal(err)
			}
			exs := &v1alpha1.ExposedService{Status: v1alpha1.ExposedServiceStatus{Rollout: &v1alpha1.RolloutStatus{Stable: revisionOf(t, c.stable)}}}
			got, err := v.facts(exs, trackedConfig{}, revision+c.config, &d.Spec.Template)
			if err != nil {
				t.Fatal(err)
			}
			if previous := slices.Contains(got.previous, revisionOf(t, "app:1")); previous != c.previous || got.restart != c.restart {
				t.Errorf("previous %t, restart %t", previous, got.restart)
			}
		})
	}
}

// After a restart nobody knows what was left of a rollout that has ended: it is looked for once.
func TestAtRestNothingIsReadTwice(t *testing.T) {
	s := newScene(t)
	s.state.deployment.Spec.Template = templateOf("app:1")
	s.cluster.deployment = s.state.deployment.DeepCopy()
	s.exs.Status.Rollout.Phase, s.exs.Status.Traffic = v1alpha1.RolloutIdle, nil
	for range 3 {
		s.observe()
		s.read()
		s.clock.Step(time.Minute)
	}
	if have := s.Inspector.known[inspection{user("greeter"), inspectVersions}]; s.cluster.lists != 1 || have.finding.versions != nil {
		t.Errorf("read %d times, and %+v is remembered", s.cluster.lists, have.finding)
	}
	s.Inspector.forget(user("greeter"))
	s.exs.Status.Rollout.Revision = s.exs.Status.Rollout.Stable
	s.observe()
	if s.read(); s.cluster.lists != 1 {
		t.Error("nothing can be left of a revision that is stable")
	}
	// What Headgate has made is looked after until it is gone.
	s.exs.Status.Rollout.Revision = revisionOf(t, "app:2")
	s.cluster.sets[1].Annotations[workload.AnnotationCanaryOf] = "greeter"
	for range 3 {
		s.observe()
		s.read()
		s.clock.Step(time.Minute)
	}
	if s.cluster.lists != 4 {
		t.Errorf("read %d times", s.cluster.lists)
	}
}

func TestWhatMayNotBeReadIsNamedAndTriedAgain(t *testing.T) {
	s := newScene(t)
	untilTimed := queuetest.Timers(s.clock)
	s.cluster.err = apierrors.NewForbidden(schema.GroupResource{Resource: "replicasets"}, "", errors.New("no right"))
	s.observe()
	s.read()
	if _, c := s.observe(); c.Known || !strings.Contains(c.Why, "no right") {
		t.Errorf("why: %+v", c)
	}
	if s.Inspector.queue.Len() > 0 {
		t.Error("tried again at once")
	}
	var out kube.Step
	(&following{Follower: s.Follower, exs: s.exs, out: &out}).sayUnread()
	if len(out.Problems) != 1 || !strings.Contains(out.Problems[0].Message, "no right") || len(out.Errs) > 0 {
		t.Errorf("it is told as %+v", out)
	}
	s.wakes()
	s.cluster.err = nil
	untilTimed()
	s.clock.Step(lastReadRetry)
	queue.Next(t.Context(), s.Inspector.queue, s.Inspector.inspect)
	if got := s.wakes(); !slices.Equal(got, []string{"greeter"}) || s.Inspector.failure(user("greeter")) != nil {
		t.Errorf("after it may be read: woken %q, %v", got, s.Inspector.failure(user("greeter")))
	}
	s.Inspector.forget(user("greeter"))
	s.read()
	if got := s.wakes(); len(got) > 0 || len(s.Inspector.known) > 0 {
		t.Errorf("after it is gone: woken %q, known %v", got, s.Inspector.known)
	}
}

func TestTheAPIServerIsAskedWhetherItHoldsTemplates(t *testing.T) {
	s := newScene(t)
	guarded := func(slipped bool) guard {
		s.guarded(s.exs, s.state.deployment, slipped)
		s.read()
		return s.guarded(s.exs, s.state.deployment, slipped)
	}
	if got := s.guarded(s.exs, s.state.deployment, false); got != guardUnknown || s.cluster.asked > 0 {
		t.Errorf("before it is asked: %s", got)
	}
	if got := guarded(false); got != guardOff || s.cluster.asked != 1 {
		t.Errorf("without the policy: %s, asked %d times", got, s.cluster.asked)
	}
	s.cluster.policy = true
	s.state.deployment.ResourceVersion = "2"
	if got := guarded(false); got != guardOff || s.cluster.asked != 1 {
		t.Errorf("before its time: %s, asked %d times", got, s.cluster.asked)
	}
	s.clock.Step(guardPeriod)
	if got := guarded(false); got != guardOn || s.cluster.asked != 2 {
		t.Errorf("after a while: %s, asked %d times", got, s.cluster.asked)
	}
	s.cluster.policy = false
	if got := guarded(true); got != guardOff || s.cluster.asked != 3 {
		t.Errorf("after a template was not held: %s, asked %d times", got, s.cluster.asked)
	}
	s.cluster.refusal = apierrors.NewBadRequest("admission webhook does not support dry run")
	s.clock.Step(guardPeriod)
	if got := guarded(true); got != guardOff || s.Inspector.known[inspection{user("greeter"), inspectGuard}].err != nil {
		t.Errorf("a question that is refused: %s", got)
	}
}
