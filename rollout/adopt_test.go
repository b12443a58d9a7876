package rollout

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// TestWhatRunsAlreadyIsNotShipped: somebody resumed the Deployment while nothing looked, or a new API server gave every pod template
// another hash. A canary of what runs already would be compared with itself.
func TestWhatRunsAlreadyIsNotShipped(t *testing.T) {
	for name, test := range map[string]struct {
		happen func(*scene)
		stable string
	}{
		"it was resumed, and runs it": {func(s *scene) { s.held, s.template, s.pods = false, "v2", map[string]int32{"v2": 4} }, "v2"},
		"the hash is another one":     {func(s *scene) { s.template, s.pods = "v2", map[string]int32{"v2": 4} }, "v2"},
		"while rollouts are paused": {func(s *scene) {
			s.spec.Rollout.Paused = ptr.To(true)
			s.template, s.pods = "v2", map[string]int32{"v2": 4}
		}, "v2"},
		"another one failed before": {func(s *scene) {
			s.status.Rollout.Failed = &v1alpha1.FailedRevision{Revision: "v0"}
			s.template, s.pods = "v2", map[string]int32{"v2": 4}
		}, "v2"},
		"it has failed, and was resumed": {func(s *scene) {
			s.status.Rollout.Failed = &v1alpha1.FailedRevision{Revision: "v2"}
			s.held, s.template, s.pods = false, "v2", map[string]int32{"v2": 4}
		}, "v2"},
		"somebody else pauses it": {func(s *scene) {
			s.held, s.pausedBy = false, "kubectl"
			s.template, s.pods = "v2", map[string]int32{"v2": 4}
		}, "v1"},
		"it has no pods": {func(s *scene) { s.template, s.replicas, s.pods = "v2", 0, map[string]int32{} }, "v1"},
	} {
		s := newScene(t)
		s.all = nil
		test.happen(s)
		s.run(time.Minute)
		if decided(s.all, v1alpha1.DecisionRolloutStarted) {
			t.Errorf("%s: a rollout was begun: %s", name, s.reasons())
		}
		if got := s.status.Rollout.Stable; got != test.stable {
			t.Errorf("%s: %s is stable, want %s (%s)", name, got, test.stable, s.message())
		}
		if r := s.status.Rollout; r.Stable == "v2" && (r.Failed != nil || !s.held || !strings.HasSuffix(s.message(), "v2 is stable")) {
			t.Errorf("%s: held %t, failed %+v, %q", name, s.held, r.Failed, s.message())
		}
	}
}

// Pods that Kubernetes has begun to make are taken back, and the new pod template is shipped. Before its controller has seen it the numbers
// are those of what was before.
func TestWhatIsNotThroughIsShipped(t *testing.T) {
	s := newScene(t)
	s.template, s.pods = "v2", map[string]int32{"v2": 4}
	seen := s.observe(s.status)
	seen.Workload.Settled = false
	out := Decide(&s.spec, s.status, seen, s.now)
	if r := out.Rollout; r.Phase != idle || r.Stable != "v1" || r.Message != "v2 waits until the controller of Deployment/greeter has seen it" {
		t.Errorf("before it is settled it is %s, %s is stable: %s", r.Phase, r.Stable, r.Message)
	}
	seen.Workload.Settled, seen.Workload.Running, seen.Workload.Others = true, "", 1
	out = Decide(&s.spec, s.status, seen, s.now)
	if r := out.Rollout; r.Phase != preparing || r.Stable != "v1" || r.Revision != "v2" {
		t.Errorf("then it is %s, %s is stable, %s is shipped", r.Phase, r.Stable, r.Revision)
	}
}

// While pods that all are of the new version are not ready they may be taken back. Only then is one of the two to do.
func TestWhatIsThroughButForBeingReadyIsWaitedFor(t *testing.T) {
	s := newScene(t)
	s.template, s.pods = "v2", map[string]int32{"v2": 4}
	seen := s.observe(s.status)
	seen.Workload.Available--
	out := Decide(&s.spec, s.status, seen, s.now)
	if r := out.Rollout; r.Phase != idle || r.Stable != "v1" || out.Intents.Workload != WorkloadHeld || !strings.Contains(r.Message, "runs v2 with all its pods already") {
		t.Errorf("%s, %s is stable, %s: %s", r.Phase, r.Stable, out.Intents.Workload, r.Message)
	}
}

// newRolledBack is a scene in which v2 was rolled back, and its pods have ended.
func newRolledBack(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.ship("v2")
	s.until(idle, time.Minute)
	s.run(time.Minute)
	return s
}

// TestPodsThatNobodyHeldInTimeAreTakenBack: somebody has resumed a Deployment whose pod template was rolled back.
func TestPodsThatNobodyHeldInTimeAreTakenBack(t *testing.T) {
	s := newRolledBack(t)
	if s.pods["v2"] != 0 || s.status.Traffic.CanaryHash != "" || s.status.Traffic.StableHash != "" {
		t.Fatalf("pods %v, %+v", s.pods, s.status.Traffic)
	}
	s.held = false
	s.size("v2", 1)
	s.look()
	s.look()
	if s.status.Traffic.StableHash != "v1" || !s.held {
		t.Errorf("the pods of v2 have calls: %+v", s.status.Traffic)
	}
	s.run(time.Minute)
	if s.pods["v2"] != 0 || s.pods["v1"] != 4 || s.status.Traffic.CanaryHash != "" || s.status.Rollout.Failed == nil {
		t.Errorf("pods %v, %+v, failed: %+v", s.pods, s.status.Traffic, s.status.Rollout.Failed)
	}
}

// TestAFailedRevisionIsNotAdoptedByItsPodsAlone: scaled to zero and back before anybody could act, Kubernetes has started the only version
// that it knew as the newest. Calls move as stable gets its pods back.
func TestAFailedRevisionIsNotAdoptedByItsPodsAlone(t *testing.T) {
	s := newRolledBack(t)
	s.trouble = map[string]*Trouble{}
	s.pods = map[string]int32{"v1": 0, "v2": 4}
	s.look()
	if r := s.status.Rollout; r.Phase != rollingBack || r.Stable != "v1" || r.Weight != allParts {
		t.Fatalf("%s, %s is stable, weight %d: %s", r.Phase, r.Stable, r.Weight, s.message())
	}
	s.run(time.Minute)
	if r := s.status.Rollout; r.Phase != idle || s.pods["v2"] != 0 || s.pods["v1"] != 4 || s.status.Traffic.CanaryHash != "" || r.Failed == nil || r.Stable != "v1" {
		t.Errorf("%s: pods %v, %+v, failed: %+v", r.Phase, s.pods, s.status.Traffic, r.Failed)
	}

	// It has nothing to go back to.
	seen := s.observe(s.status)
	seen.Workload.Running, seen.Workload.Others, seen.Workload.Begun, seen.Workload.Stable = "v2", 0, 4, ReplicaSet{}
	out := Decide(&s.spec, s.status, seen, s.now)
	if r := out.Rollout; r.Phase != idle || r.Stable != "v1" || !strings.Contains(r.Message, "no ReplicaSet of v1 to go back to") {
		t.Errorf("%s, %s is stable: %s", r.Phase, r.Stable, r.Message)
	}
}
