package failover

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/timeline"
)

var update = flag.Bool("update", false, "rewrite the golden timelines")

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// actor is a backend as it really is.
type actor struct {
	ready, total int32
	// uncountable: it is outside the cluster.
	uncountable bool
	// unknown: nobody can tell how many endpoints it has, for this reason.
	unknown string
	// errors is the share of its calls that fail, and extra how many calls a second it gets in spite of its weight (retries).
	errors, extra float64
	// carries is how many calls a second each ready endpoint can answer; the others fail. 0: all.
	carries float64
}

// failed is the share of its calls that fail when so many come a second.
func (a *actor) failed(rate float64) float64 {
	if most := a.carries * float64(a.ready); a.carries > 0 && rate > most {
		return max(a.errors, 1-most/rate)
	}
	return a.errors
}

// scene plays a history: actors, calls, a clock, and the decider in between, whose memory goes through JSON after every look.
type scene struct {
	t      testing.TB
	spec   v1alpha1.ExposedServiceSpec
	status v1alpha1.ExposedServiceStatus
	now    time.Time
	actors map[string]*actor

	// rate is how many calls a second arrive, and scrape how often they are counted.
	rate   float64
	scrape time.Duration
	// blind: the source of the calls is down.
	blind   bool
	counted time.Time
	owed    map[string][2]float64

	// written is the status that the API server has. A look that changes nothing but counts is not written.
	written v1alpha1.ExposedServiceStatus

	last     Outcome
	all      []v1alpha1.Decision
	timeline []string
}

// newScene starts with the named backends, each with two ready endpoints, and with the defaults.
func newScene(t testing.TB, names ...string) *scene {
	s := &scene{t: t, now: midnight, counted: midnight, actors: map[string]*actor{}, rate: 100, scrape: time.Second, owed: map[string][2]float64{}}
	s.backends(names...)
	s.spec.Failover = &v1alpha1.Failover{Recovery: &v1alpha1.Recovery{}}
	return s
}

// backends replaces those of the spec. Those that are new have two ready endpoints.
func (s *scene) backends(names ...string) {
	s.spec.Backends = nil
	for _, name := range names {
		s.spec.Backends = append(s.spec.Backends, v1alpha1.Backend{Name: name})
		if s.actors[name] == nil {
			s.actors[name] = &actor{ready: 2, total: 2}
		}
	}
}

func (s *scene) maxErrors(percent string) {
	s.spec.Failover.Errors = &v1alpha1.ErrorBound{MaxPercent: percent}
}
func (s *scene) maxSwitches(n int32)    { s.spec.Failover.MaxSwitchesPerHour = &n }
func (s *scene) minReady(percent int32) { s.spec.Failover.MinReadyPercent = &percent }

// ready changes how many endpoints a backend has, which is seen at once.
func (s *scene) ready(name string, ready, total int32) {
	a := s.actors[name]
	if a.ready == ready && a.total == total {
		return
	}
	a.ready, a.total = ready, total
	s.say("%s: %d of %d endpoints are ready", name, ready, total)
	s.look()
}

func (s *scene) pin(name string) {
	s.spec.Failover.Pin = name
	s.say("pin: %q", name)
	s.look()
}

func (s *scene) fail(name string, share float64) {
	s.actors[name].errors = share
	s.say("%s: %.0f %% of its calls fail", name, share*100)
}

// load lets so many calls a second arrive.
func (s *scene) load(rate float64) {
	s.rate = rate
	s.say("%.0f calls arrive a second", rate)
}

// crash leaves what has been written.
func (s *scene) crash() { s.status = s.written }

func (s *scene) observe() Observation {
	out := Observation{Backends: map[string]BackendObservation{}}
	for name, a := range s.actors {
		var o BackendObservation
		switch {
		case a.unknown != "":
			o.Endpoints.Why = a.unknown
		case a.uncountable:
			o.Endpoints.Counting = Uncountable
		default:
			o.Endpoints = Endpoints{Counting: Counted, Ready: a.ready, Total: a.total, Time: s.now}
		}
		out.Backends[name] = o
	}
	if s.spec.Failover.Errors != nil && !s.blind && s.now.Sub(s.counted) >= s.scrape {
		s.countCalls(out)
		s.counted = s.now
	}
	return out
}

// countCalls gives every backend its share of the calls since they were last counted.
func (s *scene) countCalls(out Observation) {
	seconds := s.now.Sub(s.counted).Seconds()
	for name, a := range s.actors {
		owed := s.owed[name]
		rate := s.rate*float64(s.weight(name))/allParts + a.extra
		calls := owed[0] + seconds*rate
		errors := owed[1] + (calls-owed[0])*a.failed(rate)
		whole := [2]uint64{uint64(calls), uint64(min(errors, calls))}
		s.owed[name] = [2]float64{calls - float64(whole[0]), errors - float64(whole[1])}
		o := out.Backends[name]
		o.Calls = Calls{Known: true, Calls: whole[0], Errors: whole[1], Start: s.counted, End: s.now, Source: "Envoy"}
		out.Backends[name] = o
	}
}

// look looks once, checks what must always hold, and carries on with what JSON has left of the status.
func (s *scene) look() Outcome {
	s.t.Helper()
	seen := s.observe()
	s.last = Decide(&s.spec, s.status, seen, s.now)
	if broken := brokenInvariants(&s.spec, s.status, seen, s.now, s.last); len(broken) > 0 {
		s.t.Fatalf("%s: %s", s.at(), strings.Join(broken, "; "))
	}
	s.last.Apply(&s.status)
	s.status = timeline.ThroughJSON(s.t, s.status)
	if s.last.Changed {
		s.written = s.status
	}
	for _, d := range s.last.Decisions {
		s.all = append(s.all, d)
		s.say("  -> %-16s r%-3d %s\n%38s%s", d.Reason, d.Revision, s.shares(), "", d.Message)
	}
	return s.last
}

// run lets time pass, and looks whenever the decider asked for it or calls are counted.
func (s *scene) run(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for {
		next := end
		if s.spec.Failover.Errors != nil && !s.blind {
			next = earlier(next, s.now.Add(s.scrape))
		}
		if !s.last.Next.IsZero() {
			next = earlier(next, s.last.Next)
		}
		s.now = next
		if !next.Before(end) {
			break
		}
		s.look()
	}
	s.look()
}

// until runs until a decision with the reason is taken.
func (s *scene) until(reason v1alpha1.DecisionReason, most time.Duration) v1alpha1.Decision {
	s.t.Helper()
	end := s.now.Add(most)
	for n := len(s.all); s.now.Before(end); {
		step := end.Sub(s.now)
		if s.spec.Failover.Errors != nil {
			step = min(step, s.scrape)
		}
		if !s.last.Next.IsZero() {
			step = min(step, s.last.Next.Sub(s.now))
		}
		s.run(step)
		for _, d := range s.all[n:] {
			if d.Reason == reason {
				return d
			}
		}
		n = len(s.all)
	}
	s.t.Fatalf("%s: no decision %s within %s; there were %s", s.at(), reason, most, s.reasons())
	return v1alpha1.Decision{}
}

func (s *scene) weight(name string) int32 {
	if s.status.Traffic != nil {
		for _, w := range s.status.Traffic.Weights {
			if w.Name == name {
				return w.Weight
			}
		}
	}
	return 0
}

// shares are the weights above zero, such as "primary 1, backup 999999".
func (s *scene) shares() string {
	var out []string
	for _, w := range s.last.Traffic.Weights {
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

// switches is how many decisions counted as one.
func (s *scene) switches() int {
	n := 0
	for _, d := range s.all {
		if d.Reason == v1alpha1.DecisionSwitchedToBackup || d.Reason == v1alpha1.DecisionHandedBack || d.Reason == v1alpha1.DecisionNoBackendUp {
			n++
		}
	}
	return n
}

func (s *scene) health(name string) v1alpha1.BackendStatus {
	for _, b := range s.status.Backends {
		if b.Name == name {
			return b
		}
	}
	s.t.Fatalf("no status of backend %s", name)
	return v1alpha1.BackendStatus{}
}

func (s *scene) condition(kind string) Condition {
	for _, c := range s.last.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

func (s *scene) at() string { return fmt.Sprintf("%+9.3fs", s.now.Sub(midnight).Seconds()) }

func (s *scene) say(format string, args ...any) {
	s.timeline = append(s.timeline, s.at()+"  "+fmt.Sprintf(format, args...))
}

// golden compares the timeline with the one on record.
func (s *scene) golden(name string) {
	s.t.Helper()
	for _, c := range s.last.Conditions {
		s.say("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	timeline.Compare(s.t, name, s.timeline, *update)
}

func long(d time.Duration) *v1alpha1.LongDuration { return ptr.To(v1alpha1.LongDuration(d.String())) }
