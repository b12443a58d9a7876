package rollout

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/timeline"
)

var update = flag.Bool("update", false, "rewrite the golden timelines")

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// scene plays a history in a world whose followers do at once what they are told, with the decider's memory going through JSON after
// every look.
type scene struct {
	*world
	t      testing.TB
	spec   v1alpha1.ExposedServiceSpec
	status v1alpha1.ExposedServiceStatus
	// memory keeps evidence between two writes; nil: every look is written.
	memory *memory

	last     Outcome
	all      []v1alpha1.Decision
	timeline []string
}

// newScene starts with a Deployment of four pods of v1 that is adopted, and steps of 1, 10, 25 and 50 percent.
func newScene(t testing.TB) *scene {
	s := &scene{t: t, world: newWorld(midnight)}
	s.spec = v1alpha1.ExposedServiceSpec{
		Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
		Rollout: &v1alpha1.Rollout{
			WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}, Analysis: &v1alpha1.Analysis{},
		},
	}
	s.status = served("primary", "backup")
	s.run(2 * time.Second)
	return s
}

// newOwnCanary starts with a canary Service of the user's own, of which nothing is to be shipped yet.
func newOwnCanary(t testing.TB, revision string) *scene {
	s := newScene(t)
	s.world.own = true
	s.world.canary = &canaryWorld{template: revision, ready: 2, since: midnight}
	s.spec.Rollout.WorkloadRef = nil
	s.spec.Rollout.Canary = &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: "greeter-canary", Port: 50051}}
	s.spec.Rollout.Revision = &revision
	s.status = served("primary", "backup")
	s.all, s.timeline, s.last = nil, nil, Outcome{}
	return s
}

// served is a status in which failover has decided for the first of two backends.
func served(active, other string) v1alpha1.ExposedServiceStatus {
	return v1alpha1.ExposedServiceStatus{
		Active: active,
		Traffic: &v1alpha1.TrafficStatus{Revision: 1, Weights: []v1alpha1.BackendWeight{
			{Name: active, Weight: allParts}, {Name: other},
		}},
	}
}

// failOver lets the other backend serve, or the first one again.
func (s *scene) failOver(active string) {
	s.status.Active = active
	traffic := Gather(s.status.Traffic).DeepCopy()
	for i := range traffic.Weights {
		traffic.Weights[i].Weight = 0
		if traffic.Weights[i].Name == active {
			traffic.Weights[i].Weight = allParts
		}
	}
	traffic.Revision++
	s.status.Traffic = traffic
	s.say("%s serves", active)
	s.look()
}

func (s *scene) ship(template string) {
	s.change(template)
	s.say("the pod template is %s", template)
	s.look()
}

func (s *scene) fail(revision string, share float64) {
	s.fails[revision] = share
	s.say("%.0f %% of the calls to %s fail", share*100, revision)
}

// look looks once, checks what must always hold, lets the followers follow, and carries on with what JSON has left of the status.
func (s *scene) look() {
	s.t.Helper()
	seen := s.observe(s.status)
	before := s.status
	if s.memory != nil {
		seen.Gathered = s.memory.gathered
	}
	s.last = Decide(&s.spec, before, seen, s.now)
	if broken := brokenInvariants(&s.spec, before, seen, s.now, s.last); len(broken) > 0 {
		s.t.Fatalf("%s: %s", s.at(), strings.Join(broken, "; "))
	}
	if s.memory == nil || s.memory.take(s.last, s.now) {
		s.last.Apply(&s.status)
		s.status = timeline.ThroughJSON(s.t, s.status)
	}
	for _, d := range s.last.Decisions {
		s.all = append(s.all, d)
		s.say("  -> %-16s r%-3d %-16s %s\n%38s%s", d.Reason, d.Revision, s.phase(), s.shares(), "", d.Message)
	}
	s.follow(s.last.Intents)
	if len(s.harm) > 0 {
		s.t.Fatalf("%s: %s", s.at(), strings.Join(s.harm, "; "))
	}
}

// run lets time pass, and looks every second and whenever the decider asked for it.
func (s *scene) run(d time.Duration) {
	s.t.Helper()
	s.runUntil(d, func() bool { return false })
}

// until runs until the phase is reached.
func (s *scene) until(phase v1alpha1.RolloutPhase, most time.Duration) {
	s.t.Helper()
	if !s.runUntil(most, func() bool { return s.phase() == phase }) {
		s.t.Fatalf("%s: not %s within %s but %s: %s; there were %s", s.at(), phase, most, s.phase(), s.message(), s.reasons())
	}
}

// untilStep runs until the canary has the weight of a step.
func (s *scene) untilStep(step int32, most time.Duration) {
	s.t.Helper()
	if !s.runUntil(most, func() bool { return s.phase() == stepping && s.status.Rollout.Step == step }) {
		s.t.Fatalf("%s: not in step %d within %s but %s: %s; there were %s", s.at(), step, most, s.phase(), s.message(), s.reasons())
	}
}

func (s *scene) runUntil(d time.Duration, done func() bool) bool {
	s.t.Helper()
	end := s.now.Add(d)
	for !done() {
		next := earlier(end, s.now.Truncate(time.Second).Add(time.Second))
		if !s.last.Next.IsZero() {
			next = earlier(next, s.last.Next)
		}
		s.pass(next)
		s.look()
		if !next.Before(end) {
			return done()
		}
	}
	return true
}

func (s *scene) phase() v1alpha1.RolloutPhase {
	if s.status.Rollout == nil {
		return none
	}
	return s.status.Rollout.Phase
}

func (s *scene) message() string {
	if s.status.Rollout == nil {
		return ""
	}
	return s.status.Rollout.Message
}

// shares are the weights above zero, such as "primary 990000, canary 10000".
func (s *scene) shares() string {
	var out []string
	for _, w := range s.status.Traffic.Weights {
		if w.Weight > 0 {
			out = append(out, fmt.Sprintf("%s %d", w.Name, w.Weight))
		}
	}
	return strings.Join(out, ", ")
}

// reasons are those of all decisions.
func (s *scene) reasons() string {
	var out []string
	for _, d := range s.all {
		out = append(out, string(d.Reason))
	}
	return strings.Join(out, " > ")
}

func (s *scene) at() string { return fmt.Sprintf("%+9.3fs", s.now.Sub(midnight).Seconds()) }

func (s *scene) say(format string, args ...any) {
	s.timeline = append(s.timeline, s.at()+"  "+fmt.Sprintf(format, args...))
}

// golden compares the timeline with the one on record.
func (s *scene) golden(name string) {
	s.t.Helper()
	if c := s.last.Condition; c != nil {
		s.say("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	if s.status.Rollout != nil {
		s.say("ROLLOUT %s", s.status.Rollout.Progress)
	}
	timeline.Compare(s.t, name, s.timeline, *update)
}

// steps are weights in percent, each held for a minute.
func steps(weights ...string) []v1alpha1.RolloutStep {
	var out []v1alpha1.RolloutStep
	for _, w := range weights {
		out = append(out, v1alpha1.RolloutStep{Weight: intstr.FromString(w)})
	}
	return out
}

func long(d time.Duration) *v1alpha1.LongDuration { return ptr.To(v1alpha1.LongDuration(d.String())) }
