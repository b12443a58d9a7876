package failover

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/timeline"
)

// shards are how many tests share the histories, so that several processors can; histories is how many each of them plays
// unless -rapid.checks says otherwise.
const (
	shards    = 4
	histories = 2550
)

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked && !testing.Short() {
		if err := flag.Set("rapid.checks", strconv.Itoa(histories)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestPropertiesHoldInAnyHistory plays random histories: looks with random observations, a clock that jumps both ways, edits
// of the spec, restarts. Each ends with calm weather, in which everything has to come back.
func TestPropertiesHoldInAnyHistory(t *testing.T) {
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				h := newHistory(t)
				for range pick(t, "looks", []int{1, 3, 10, 30, 60}) {
					h.live()
					h.look()
					if chance(t, "a rush", 5) {
						h.rush()
					}
				}
				h.calm()
			})
		})
	}
}

// history is a random one, with what an onlooker who does not know the decider's mind knows of it.
type history struct {
	t      *rapid.T
	spec   v1alpha1.ExposedServiceSpec
	status v1alpha1.ExposedServiceStatus
	seen   Observation
	now    time.Time
	last   Outcome

	// failing are the backends whose calls fail, strained those that fail what is too much, and counted is until when they were counted.
	failing, strained map[string]bool
	counted           map[string]time.Time

	// edited: the spec has changed since the last look.
	edited bool
	// ready is how many ready endpoints each backend had when that was last known; uncountable ones have many.
	ready map[string]int32
	// switches are those that people did not cause, and allowed is the greatest maxSwitchesPerHour since the ramp began.
	switches []time.Time
	allowed  int
}

var (
	pool      = []string{"a", "b", "c", "d", "e"}
	durations = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}
	ramps     = [][]int32{nil, {100}, {10}, {1, 2, 3, 50}, {50, 100}, {99}}
)

func newHistory(t *rapid.T) *history {
	h := &history{
		t: t, now: midnight, seen: Observation{Backends: map[string]BackendObservation{}},
		ready: map[string]int32{}, failing: map[string]bool{}, strained: map[string]bool{}, counted: map[string]time.Time{},
	}
	h.setBackends()
	h.setFailover()
	return h
}

// roll gives each of 0 to 127 the same chance, where rapid's own ranges prefer what is small.
var roll = rapid.Custom(func(t *rapid.T) int {
	n := 0
	for range 7 {
		n *= 2
		if rapid.Bool().Draw(t, "") {
			n++
		}
	}
	return n
})

func pick[T any](t *rapid.T, label string, from []T) T {
	return from[roll.Draw(t, label)*len(from)/128]
}

func chance(t *rapid.T, label string, percent int) bool {
	return roll.Draw(t, label) >= 128-128*percent/100
}

func (h *history) setBackends() {
	names := rapid.Permutation(pool).Draw(h.t, "backends")[:rapid.IntRange(1, 4).Draw(h.t, "number of backends")]
	h.spec.Backends = nil
	for _, name := range names {
		h.spec.Backends = append(h.spec.Backends, v1alpha1.Backend{Name: name})
	}
	if f := h.spec.Failover; f != nil && !slices.Contains(names, f.Pin) {
		f.Pin = ""
	}
}

func (h *history) setFailover() {
	f := &v1alpha1.Failover{
		MinReadyPercent:    ptr.To(pick(h.t, "minReadyPercent", []int32{1, 1, 50, 100})),
		MaxSwitchesPerHour: ptr.To(pick(h.t, "maxSwitchesPerHour", []int32{1, 2, 3, 6, 60})),
		Recovery: &v1alpha1.Recovery{
			HealthyFor:   long(pick(h.t, "healthyFor", durations)),
			Ramp:         pick(h.t, "ramp", ramps),
			RampInterval: long(pick(h.t, "rampInterval", durations)),
		},
	}
	if chance(h.t, "has an error bound", 70) {
		f.Errors = &v1alpha1.ErrorBound{MaxPercent: pick(h.t, "maxPercent", []string{"0.5", "5", "50"})}
	}
	if h.spec.Failover != nil {
		f.Pin = h.spec.Failover.Pin
	}
	h.spec.Failover = f
}

func (h *history) setPin() {
	names := []string{"", ""}
	for _, b := range h.spec.Backends {
		names = append(names, b.Name)
	}
	h.spec.Failover.Pin = pick(h.t, "pin", names)
}

// live lets something happen.
func (h *history) live() {
	h.edited = false
	switch n := roll.Draw(h.t, "time") * 100 / 128; {
	case n < 40 && !h.last.Next.IsZero():
		h.now = h.last.Next
	case n < 90:
		h.now = h.now.Add(pick(h.t, "later", []time.Duration{
			0, 1, 999, time.Millisecond, time.Second, 7 * time.Second, time.Minute, 11 * time.Minute, 59 * time.Minute, time.Hour,
		}))
	case n < 95:
		h.now = h.now.Add(pick(h.t, "ahead", []time.Duration{3 * time.Hour, 24 * time.Hour, 10000 * time.Hour}))
	default:
		h.now = h.now.Add(-pick(h.t, "back", []time.Duration{time.Nanosecond, time.Second, 10 * time.Minute, 2 * time.Hour, 10000 * time.Hour}))
	}
	if chance(h.t, "an edit", 6) {
		h.edited = true
		pick(h.t, "edit", []func(){h.setBackends, h.setFailover, h.setPin, h.setPin})()
	}
	for _, b := range h.spec.Backends {
		if chance(h.t, "something happens to "+b.Name, 45) {
			h.happen(b.Name)
		}
	}
	h.countCalls()
}

func (h *history) happen(name string) {
	o := h.seen.Backends[name]
	o.Endpoints = Endpoints{}
	switch n := roll.Draw(h.t, "endpoints of "+name) * 100 / 128; {
	case n < 35:
		o.Endpoints = Endpoints{Counting: Counted, Ready: 2, Total: 2, Time: h.now}
	case n < 60:
		o.Endpoints = Endpoints{Counting: Counted, Ready: 0, Total: 2, Time: h.now}
	case n < 75:
		ready := rapid.Int32Range(-1, 4).Draw(h.t, "ready")
		o.Endpoints = Endpoints{Counting: Counted, Ready: ready, Total: 4, Time: h.now}
	case n < 85:
		o.Endpoints = Endpoints{Counting: Counted, Ready: 1, Total: 1, Time: h.now, StaleAfter: 5 * time.Second}
	case n < 93:
		o.Endpoints = Endpoints{Counting: Uncountable}
	}
	h.seen.Backends[name] = o
}

// countCalls gives some backends calls in this look.
func (h *history) countCalls() {
	for _, b := range h.spec.Backends {
		o := h.seen.Backends[b.Name]
		o.Calls = Calls{Source: "Envoy"}
		if chance(h.t, b.Name+" starts or stops to fail its calls", 10) {
			h.failing[b.Name] = !h.failing[b.Name]
		}
		if chance(h.t, b.Name+" starts or stops to get too many calls", 5) {
			h.strained[b.Name] = !h.strained[b.Name]
		}
		if chance(h.t, "calls to "+b.Name, 80) {
			o.Calls.Known, o.Calls.End, o.Calls.StaleAfter = true, h.now, time.Minute
			o.Calls.Calls = pick(h.t, "calls", []uint64{0, 1, 100, 10000})
			if h.failing[b.Name] {
				o.Calls.Errors = o.Calls.Calls * 3 / 4
			}
			o.Calls.Start = h.counted[b.Name]
			if h.strained[b.Name] {
				o.Calls.Calls, o.Calls.Errors = h.strain(b.Name, h.now.Sub(h.counted[b.Name]))
			}
			switch roll.Draw(h.t, "lie") / 6 {
			case 0:
				o.Calls.Errors = o.Calls.Calls + 1
			case 1:
				o.Calls.Start = h.now.Add(-time.Minute)
			}
			h.counted[b.Name] = h.now
		}
		h.seen.Backends[b.Name] = o
	}
}

// rush lets too many calls come for some seconds, and looks at each of them.
func (h *history) rush() {
	h.edited = false
	for _, b := range h.spec.Backends {
		h.strained[b.Name] = chance(h.t, b.Name+" gets too many calls", 80)
	}
	for range pick(h.t, "seconds of the rush", []int{4, 8, 16}) {
		h.now = h.now.Add(time.Second)
		h.countCalls()
		h.look()
	}
}

// strain is what becomes of the calls of a backend that gets its share of 300 a second and can carry 200.
func (h *history) strain(name string, elapsed time.Duration) (calls, errors uint64) {
	if h.status.Traffic == nil || elapsed <= 0 || elapsed > time.Hour {
		return 0, 0
	}
	rate := 300 * float64(weightOf(h.status, name)) / allParts
	return uint64(rate * elapsed.Seconds()), uint64(max(0, rate-200) * elapsed.Seconds())
}

// look looks, and checks everything that must hold.
func (h *history) look() {
	if chance(h.t, "a look that knows nothing", 20) {
		h.knowNothing()
	}
	if chance(h.t, "a restart", 5) {
		h.restart()
	}
	before := h.status
	h.last = Decide(&h.spec, before, h.seen, h.now)
	if broken := brokenInvariants(&h.spec, before, h.seen, h.now, h.last); len(broken) > 0 {
		h.fatalf("%s", strings.Join(broken, "; "))
	}
	h.status = *before.DeepCopy()
	h.last.Apply(&h.status)
	h.learn()
	h.judgeSwitch(before)
}

// restart checks that the same look comes to the same after the status has been through JSON, and that a second look at the
// same does not change what it was given.
func (h *history) restart() {
	kept := asJSON(h.t, h.status)
	inMemory := asJSON(h.t, Decide(&h.spec, h.status, h.seen, h.now))
	if asJSON(h.t, h.status) != kept {
		h.fatalf("the status that was given to the decider has changed")
	}
	h.status = timeline.ThroughJSON(h.t, h.status)
	if got := asJSON(h.t, Decide(&h.spec, h.status, h.seen, h.now)); got != inMemory {
		h.fatalf("a restart makes a difference:\n%s\n%s", inMemory, got)
	}
}

// knowNothing looks without knowing anything, at some other time, and carries on as if that had not happened.
func (h *history) knowNothing() {
	if h.status.Traffic == nil || h.edited {
		return
	}
	now := h.now.Add(pick(h.t, "blindly later", []time.Duration{-time.Hour, 0, time.Minute, 2 * time.Hour}))
	seen := Observation{}
	if chance(h.t, "stale, not missing", 50) {
		seen.Backends = map[string]BackendObservation{}
		for _, b := range h.spec.Backends {
			seen.Backends[b.Name] = BackendObservation{Endpoints: Endpoints{Counting: Counted, Time: now.Add(-time.Minute), StaleAfter: time.Second}}
		}
	}
	out := Decide(&h.spec, h.status, seen, now)
	if len(out.Decisions) > 0 || out.Active != h.status.Active || !slices.Equal(out.Traffic.Weights, h.status.Traffic.Weights) {
		h.fatalf("nothing was known, and it was decided: %v", out.Decisions)
	}
}

// learn is what an onlooker learns of the endpoints.
func (h *history) learn() {
	for _, b := range h.spec.Backends {
		o := h.seen.Backends[b.Name]
		switch {
		case o.Endpoints.Counting == Uncountable:
			h.ready[b.Name] = 1000
		case o.Endpoints.Counting == Counted && o.Endpoints.Ready >= 0 && fresh(o, h.now):
			h.ready[b.Name] = o.Endpoints.Ready
		}
	}
	for name := range h.ready {
		if !slices.ContainsFunc(h.spec.Backends, func(b v1alpha1.Backend) bool { return b.Name == name }) {
			delete(h.ready, name)
		}
	}
}

// judgeSwitch counts the switches of the last hour, as the decider's clock has it, and checks that there are not too many.
func (h *history) judgeSwitch(before v1alpha1.ExposedServiceStatus) {
	most := int(*h.spec.Failover.MaxSwitchesPerHour)
	pin := h.spec.Failover.Pin
	byHand := h.edited || before.Traffic == nil || pin != "" && pin == h.last.Active

	relapse := before.Failover != nil && before.Failover.State.Ramp != nil && h.last.State.Ramp == nil && h.last.Active == before.Active
	if !relapse && before.Active != h.last.Active {
		left, known := h.ready[before.Active]
		if known && left == 0 && !byHand {
			h.switches = append(h.switches, h.now)
			most = 1 << 30
		}
	}
	var recent []time.Time
	for _, s := range h.switches {
		if s = earlier(s, h.now); h.now.Truncate(time.Microsecond).Sub(s.Truncate(time.Microsecond)) < time.Hour {
			recent = append(recent, s)
		}
	}
	h.switches = recent

	h.allowed = max(h.allowed, most)
	if most < 1<<30 && !byHand && (relapse || before.Active != h.last.Active) {
		h.switches = append(h.switches, h.now)
		if len(h.switches) > h.allowed {
			h.fatalf("%d switches in an hour, of which %d were allowed", len(h.switches), h.allowed)
		}
	}
	if h.last.State.Ramp == nil {
		h.allowed = 0
	}
}

// calm lets everything be well from now on, looks only when the decider asks for it, and expects everything to come back.
func (h *history) calm() {
	h.edited = false
	h.now = h.now.Add(2 * time.Minute) // Past every interval that was counted.
	began := h.now
	want := h.spec.Backends[0].Name
	if pin := h.spec.Failover.Pin; pin != "" {
		want = pin
	}
	for range 400 {
		for _, b := range h.spec.Backends {
			h.seen.Backends[b.Name] = BackendObservation{Endpoints: Endpoints{Counting: Counted, Ready: 2, Total: 2, Time: h.now}}
		}
		h.look()
		if h.last.Next.IsZero() {
			break
		}
		h.now = h.last.Next
	}
	switch took := h.now.Sub(began); {
	case h.last.Active != want || h.last.State.Ramp != nil || !h.last.Next.IsZero():
		h.fatalf("after %s of calm %s serves, not %s; the next look is at %s", took, h.last.Active, want, h.last.Next)
	case took > 3*time.Hour:
		h.fatalf("it took %s of calm until %s served", took, want)
	}
	for _, c := range h.last.Conditions {
		healthy := metav1.ConditionTrue
		if c.Type == v1alpha1.ConditionFailedOver && want == h.spec.Backends[0].Name {
			healthy = metav1.ConditionFalse
		}
		if c.Status != healthy {
			h.fatalf("settled, but %+v", c)
		}
	}
	if again := Decide(&h.spec, h.status, h.seen, h.now.Add(time.Second)); again.Changed {
		h.fatalf("settled, but another look has something to write")
	}
}

func (h *history) fatalf(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%s\nspec: %s\nseen: %s\nnow: %s\noutcome: %s", fmt.Sprintf(format, args...),
		asJSON(h.t, h.spec), asJSON(h.t, h.seen), h.now, asJSON(h.t, h.last))
}

func asJSON(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
