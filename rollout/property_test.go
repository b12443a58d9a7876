package rollout

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/timeline"
)

// shards are how many tests share the histories, so that several processors can; histories is how many each of them plays
// unless -rapid.checks says otherwise.
const (
	shards    = 4
	histories = 2550
)

// mostCalm is how many looks, a second apart, calm may take. Of ten thousand histories none took more than 600: four steps of 16 seconds
// and more, people who approve after 24 looks, a suspicion after which all of it begins anew.
const mostCalm = 1000

// allPlayed: so many histories are played that each transition happens in some of them: the rarest in some thirty.
var allPlayed bool

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked && !testing.Short() {
		if err := flag.Set("rapid.checks", strconv.Itoa(histories)); err != nil {
			panic(err)
		}
		allPlayed = true
	}
	os.Exit(m.Run())
}

// TestPropertiesHoldInAnyHistory plays random histories in a world with everything that happens to a rollout: edits, scaling, failovers,
// dying pods, sources that are away, a clock that jumps both ways, crashes between the write and what follows it, stale reads. Each
// ends with calm weather, in which the rollout has to come to its end.
func TestPropertiesHoldInAnyHistory(t *testing.T) {
	var mutex sync.Mutex
	seen := map[string]int{}
	t.Run("histories", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					h := newHistory(t)
					for range pick(t, "looks", []int{1, 5, 20, 60}) {
						h.happen()
						h.look()
					}
					h.calm()
					mutex.Lock()
					defer mutex.Unlock()
					for _, row := range h.taken {
						seen[row]++
					}
				})
			})
		}
	})
	if !allPlayed {
		return
	}
	for i := range transitions {
		// A doubt that is no suspicion, just when a step is prepared, is too rare here, and the end of a rollout of an earlier version's
		// does not happen here; both have tests of their own.
		rare := transitions[i].name == v1alpha1.DecisionStepDoubted || transitions[i].name == v1alpha1.DecisionRolloutUpgraded && transitions[i].to == rollingBack
		if row := rowOf(&transitions[i]); seen[row] == 0 && !rare {
			t.Errorf("no history has taken %s", row)
		}
	}
}

// rowOf names a transition; the name alone may stand in two rows.
func rowOf(t *transition) string { return string(t.name) + " to " + string(t.to) }

// history is a random one.
type history struct {
	*world
	t      *rapid.T
	spec   v1alpha1.ExposedServiceSpec
	status v1alpha1.ExposedServiceStatus
	// earlier are the last few statuses that were written, as a stale cache holds them.
	earlier []v1alpha1.ExposedServiceStatus
	last    Outcome
	taken   []string
	memory  memory
	// failing is for how many looks more the canary fails in the calm.
	failing int
}

func newHistory(t *rapid.T) *history {
	h := &history{t: t, world: newWorld(midnight)}
	h.scrape, h.rate = time.Second, 4000
	h.spec = v1alpha1.ExposedServiceSpec{Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}}, Rollout: &v1alpha1.Rollout{}}
	h.status = served("primary", "backup")
	if chance(t, "a canary of the user's own", 25) {
		h.own = true
		h.canary = &canaryWorld{template: "v1", ready: 2, since: h.now}
	}
	h.setRollout()
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

// setRollout edits everything but the target.
func (h *history) setRollout() {
	r := &v1alpha1.Rollout{Paused: ptr.To(chance(h.t, "paused", 10)), Analysis: &v1alpha1.Analysis{
		WhenUndecided:   ptr.To(pick(h.t, "whenUndecided", []v1alpha1.UndecidedPolicy{v1alpha1.UndecidedHold, v1alpha1.UndecidedAdvance, v1alpha1.UndecidedRollBack})),
		MaxHold:         long(pick(h.t, "maxHold", []time.Duration{2 * time.Second, 10 * time.Second, time.Hour})),
		MustHaveTraffic: ptr.To(chance(h.t, "mustHaveTraffic", 30)),
		Errors:          &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}},
	}}
	for _, weight := range pick(h.t, "steps", [][]string{{"50"}, {"10", "100"}, {"0.5", "20", "60"}, {"1", "2", "5", "10"}, nil}) {
		step := v1alpha1.RolloutStep{Weight: intstr.Parse(weight), Hold: long(pick(h.t, "hold", []time.Duration{time.Second, 3 * time.Second}))}
		if chance(h.t, "approval", 20) {
			step.Approval = ptr.To(v1alpha1.ApprovalRequired)
		}
		r.Steps = append(r.Steps, step)
	}
	if chance(h.t, "a webhook", 15) {
		r.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "gate"}}
	}
	h.setTarget(r)
	h.spec.Rollout = r
}

func (h *history) setTarget(r *v1alpha1.Rollout) {
	if h.own {
		r.Canary = &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: "greeter-canary", Port: 1}}
		r.Revision = &h.template
		return
	}
	r.WorkloadRef = &v1alpha1.WorkloadReference{Name: "greeter"}
	if chance(h.t, "release", 30) {
		r.OnRemoval = ptr.To(v1alpha1.RemovalRelease)
	}
	if chance(h.t, "restarts are shipped", 30) {
		r.Restarts = ptr.To(v1alpha1.RestartRollout)
	}
}

// happen lets time pass, and something happen.
func (h *history) happen() {
	h.passSome()
	type event struct {
		percent int
		do      func()
	}
	events := []event{
		{12, h.ship},
		{4, func() { h.replicas = pick(h.t, "replicas", []int32{0, 1, 4, 4, 10}) }},
		{3, h.deleteOrMake},
		{4, func() { h.pausedBy = pick(h.t, "paused by", []string{"", "", "kubectl"}) }},
		{4, h.setRollout},
		{3, func() { h.guarded = !h.guarded }},
		{3, func() { h.tight = !h.tight }},
		{3, func() { h.waits = pick(h.t, "waits", []string{"", "", "exceeded quota"}) }},
		{3, func() { h.restart = pick(h.t, "a restart of", []string{"", "", h.template}) }},
		{3, func() { h.promote = h.template }},
		{3, func() { h.abort = pick(h.t, "aborted", []string{"", "", h.template}) }},
		{4, h.skipStep},
		{3, func() { h.previous = []string{"v1", "v2", "v3"} }},
		{2, h.forgetSlots},
		{3, func() { h.spec.Rollout = nil }},
		{6, h.failOver},
		{6, func() {
			h.trouble = map[string]*Trouble{}
			if chance(h.t, "trouble", 40) {
				h.trouble[h.template] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
			}
		}},
		{8, func() { h.fails = map[string]float64{h.template: pick(h.t, "errors", []float64{0, 0.02, 0.3, 1})} }},
		{4, func() { h.outage = pick(h.t, "outage", []float64{0, 0.5}) }},
		{6, func() { h.rate = pick(h.t, "rate", []float64{0, 1, 4000, 4000}) }},
		{6, func() { h.blind = !h.blind }},
		{6, func() { h.deaf = !h.deaf }},
		{6, func() { h.hidden = !h.hidden }},
		{8, h.killCanary},
		{15, h.agree},
		{3, func() { h.retry += "again" }},
		{5, func() { h.swapped = h.template }},
	}
	if rolloutOf(h.status).Phase == promoting {
		events[0] = event{30, h.killCanary} // Promotions are short.
	}
	for _, e := range events {
		if chance(h.t, "event", e.percent) {
			e.do()
		}
	}
}

// deleteOrMake deletes the Deployment, or makes a new one, which nobody has paused and which has no pods yet.
func (h *history) deleteOrMake() {
	h.exists, h.held, h.pods, h.starting, h.home, h.apart = !h.exists, false, map[string]int32{}, map[string]int32{}, h.template, ""
}

// killCanary takes all ready pods from the canary, for as long as they take to start.
func (h *history) killCanary() {
	if h.own {
		h.canary.ready, h.canary.since = 0, h.now
		return
	}
	if r := rolloutOf(h.status); r.Revision != r.Stable {
		h.kill(r.Revision, h.now)
	}
}

func (h *history) passSome() {
	switch n := roll.Draw(h.t, "time") * 100 / 128; {
	case n < 45 && !h.last.Next.IsZero():
		h.pass(later(h.now, h.last.Next))
	case n < 90:
		h.pass(h.now.Add(pick(h.t, "later", []time.Duration{0, time.Millisecond, time.Second, time.Second, 3 * time.Second, 16 * time.Second})))
	case n < 95:
		h.now = h.now.Add(pick(h.t, "ahead", []time.Duration{time.Hour, 10000 * time.Hour}))
	default:
		h.now = h.now.Add(-pick(h.t, "back", []time.Duration{time.Nanosecond, time.Second, time.Hour, 10000 * time.Hour}))
	}
	if h.canary != nil && h.canary.since.After(h.now) {
		h.canary.since = h.now
	}
	for _, times := range []map[string]time.Time{h.since, h.readied} {
		for revision, at := range times {
			times[revision] = earlier(at, h.now)
		}
	}
	h.counted, h.moved = earlier(h.counted, h.now), earlier(h.moved, h.now)
}

func (h *history) ship() {
	h.change(pick(h.t, "template", []string{"v1", "v2", "v3"}))
	if h.own {
		h.canary.template = h.template
		if h.spec.Rollout != nil {
			h.spec.Rollout.Revision = ptr.To(h.template)
		}
	}
}

func (h *history) failOver() {
	h.status.Active = pick(h.t, "active", []string{"primary", "primary", "backup"})
	traffic := Gather(h.status.Traffic).DeepCopy()
	for i := range traffic.Weights {
		traffic.Weights[i].Weight = 1
		if traffic.Weights[i].Name == h.status.Active {
			traffic.Weights[i].Weight = allParts - 1
		}
	}
	h.status.Traffic = traffic
}

// forgetSlots leaves the status as an earlier version of Headgate did, whose canary was no ReplicaSet of the Deployment's.
func (h *history) forgetSlots() {
	if h.own || h.status.Rollout == nil || h.status.Rollout.Phase == releasing {
		return // No earlier version has released anything.
	}
	for revision := range h.pods {
		if revision != h.status.Rollout.Stable {
			h.size(revision, 0)
		}
	}
	h.status.Traffic.StableHash, h.status.Traffic.CanaryHash = "", ""
}

// skipStep lets somebody leave the present step without proof.
func (h *history) skipStep() {
	if r := h.status.Rollout; r != nil {
		h.skip = fmt.Sprintf("%s/%d", r.Revision, r.Step)
		if r.Attempt > 1 {
			h.skip += fmt.Sprintf("/%d", r.Attempt)
		}
	}
}

// agree lets people and webhooks agree with whatever they are asked.
func (h *history) agree() {
	if r := h.status.Rollout; r != nil {
		h.approve = fmt.Sprintf("%s/%d", r.Revision, r.Step)
		if r.Attempt > 1 {
			h.approve += fmt.Sprintf("/%d", r.Attempt)
		}
		h.answers = map[string]Answer{"gate": {Revision: r.Revision, Step: r.Step, Agrees: true}}
	}
}

// look looks, checks everything that must hold, and has the followers follow: all, some, or none of them, as a crash has it.
func (h *history) look() {
	seen := h.observe(h.status)
	h.lookBack(seen)
	h.lookBlindly()
	if chance(h.t, "could it roll back", 10) {
		h.couldRollBack()
	}
	before := h.status
	seen.Gathered = h.memory.gathered
	kept := asJSON(h.t, before)
	h.last = Decide(&h.spec, before, seen, h.now)
	h.check(before, seen, h.now, h.last)
	if chance(h.t, "a restart", 5) {
		if asJSON(h.t, before) != kept {
			h.fatalf("the status that was given to the decider has changed")
		}
		if again := Decide(&h.spec, timeline.ThroughJSON(h.t, before), seen, h.now); asJSON(h.t, again) != asJSON(h.t, h.last) {
			h.fatalf("a restart makes a difference: %s", asJSON(h.t, again))
		}
	}
	if chance(h.t, "a crash before the write", 5) {
		h.memory = memory{}
		return
	}
	h.earlier = append(h.earlier, before)[max(0, len(h.earlier)-4):]
	if h.memory.take(h.last, h.now) {
		h.last.Apply(&h.status)
	}
	// A follower that fails keeps those behind it from nothing, but the canary's pods wait for the Deployment to be held.
	for _, follower := range []func(Intents){h.followWeight, func(i Intents) { h.followWorkload(i); h.followCanary(i) }} {
		if chance(h.t, "it is followed", 90) {
			follower(h.last.Intents)
		}
	}
	if len(h.harm) > 0 {
		h.fatalf("%s", strings.Join(h.harm, "; "))
	}
}

// lookBack looks with a status from a stale cache. The API server would refuse what comes of it, and so do we; but it must do no worse.
func (h *history) lookBack(seen Observation) {
	if len(h.earlier) == 0 || !chance(h.t, "a stale read", 10) {
		return
	}
	stale := pick(h.t, "stale", h.earlier)
	h.check(stale, seen, h.now, Decide(&h.spec, stale, seen, h.now))
}

// lookBlindly looks without knowing anything, at some other time, and carries on as if that had not happened.
func (h *history) lookBlindly() {
	if !chance(h.t, "a look that knows nothing", 10) {
		return
	}
	now := h.now.Add(pick(h.t, "blindly later", []time.Duration{-time.Hour, 0, time.Minute, 2 * time.Hour}))
	out := Decide(&h.spec, h.status, Observation{Approve: h.approve, Retry: h.retry, Swapped: h.swapped}, now)
	h.check(h.status, Observation{}, now, out)
	was, is := rolloutOf(h.status), rolloutOf(v1alpha1.ExposedServiceStatus{Rollout: out.Rollout})
	if is.Weight > was.Weight || is.Step > was.Step && was.Step > 0 || len(is.Verdicts) > len(was.Verdicts) || is.Failed != nil && was.Failed == nil {
		h.fatalf("nothing was known, and it was decided: %v", out.Decisions)
	}
	if is.Stable != was.Stable && was.Phase != awaitingSwap && is.Phase != none {
		h.fatalf("nothing was known, and %s is stable instead of %s", is.Stable, was.Stable)
	}
}

// couldRollBack checks that a canary with weight is taken out by nothing but failing calls, and by nothing but trouble, even if
// nothing else can be seen.
func (h *history) couldRollBack() {
	r := h.status.Rollout
	if r == nil || r.Weight == 0 || h.spec.Rollout == nil || targetOf(h.spec.Rollout) != r.Target {
		return
	}
	for _, only := range []func(i int) Observation{
		func(i int) Observation {
			start := h.now.Add(time.Duration(i) * time.Second)
			return Observation{Calls: Calls{
				Known: true, Start: start, End: start.Add(time.Second),
				Canary: judge.Counts{Calls: 500, Errors: 500}, Stable: judge.Counts{Calls: 5000},
			}}
		},
		func(int) Observation {
			return Observation{Canary: Canary{Known: true, Found: true, Revision: r.Revision, Trouble: &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}}}
		},
	} {
		if slices.Contains(phases(handingOver, releasing, rollingBack, rechecking, suspended), r.Phase) {
			continue // There may be nothing to go back to, or it goes back as stable gets its pods.
		}
		status := h.status
		status.Failover = nil
		for i := range 40 {
			if rolloutOf(status).Weight == 0 {
				break
			}
			Decide(&h.spec, status, only(i), h.now.Add(time.Duration(i+1)*time.Second)).Apply(&status)
		}
		if got := rolloutOf(status); got.Weight != 0 {
			h.fatalf("from %s it cannot be rolled back: it is %s with weight %d", r.Phase, got.Phase, got.Weight)
		}
	}
}

func (h *history) check(before v1alpha1.ExposedServiceStatus, seen Observation, now time.Time, out Outcome) {
	if broken := brokenInvariants(&h.spec, before, seen, now, out); len(broken) > 0 {
		h.last = out
		h.fatalf("%s", strings.Join(broken, "; "))
	}
	for _, d := range out.Decisions {
		h.taken = append(h.taken, string(d.Reason)+" to "+string(rolloutOf(v1alpha1.ExposedServiceStatus{Rollout: out.Rollout}).Phase))
	}
	was, is := rolloutOf(before), rolloutOf(v1alpha1.ExposedServiceStatus{Rollout: out.Rollout})
	if is.Step < was.Step && !slices.Contains([]v1alpha1.DecisionReason{
		v1alpha1.DecisionCanaryLost, v1alpha1.DecisionRolloutResumed, v1alpha1.DecisionRolloutStarted, v1alpha1.DecisionStepAltered, v1alpha1.DecisionStepDoubted, v1alpha1.DecisionCanaryRechecked,
		v1alpha1.DecisionRollbackFinished, v1alpha1.DecisionRolloutFinished, v1alpha1.DecisionRolloutRemoved, v1alpha1.DecisionPromoted, v1alpha1.DecisionRolloutUpgraded,
	}, out.Decisions[0].Reason) {
		h.last = out
		h.fatalf("back from step %d to %d", was.Step, is.Step)
	}
}

// blow is what may happen once in the calm, where the rollout comes further than in the weather before it.
type blow struct {
	due func(v1alpha1.RolloutStatus) bool
	do  func(*history)
}

func in(phase v1alpha1.RolloutPhase) func(v1alpha1.RolloutStatus) bool {
	return func(r v1alpha1.RolloutStatus) bool { return r.Phase == phase }
}

var blows = []blow{
	{func(v1alpha1.RolloutStatus) bool { return false }, nil},
	{in(promoting), (*history).killCanary},
	{in(releasing), (*history).killCanary},
	{in(releasing), (*history).overtake},
	{in(handingOver), (*history).killCanary},
	{in(stepping), (*history).failForAWhile},
	{in(promoting), (*history).failForAWhile},
	{func(r v1alpha1.RolloutStatus) bool { return r.Phase == stepping && r.Weight == allParts }, (*history).failLate},
}

// failForAWhile lets all calls of the canary fail for so long that it is suspected.
func (h *history) failForAWhile() { h.failing = 10 }

// overtake asks for another version, and lets Kubernetes go no further with the one that is released.
func (h *history) overtake() {
	if h.guarded {
		h.change(pick(h.t, "overtaken by", []string{"v1", "v2", "v3"}))
	}
}

// failLate lets the data plane be late with all calls, and the last of those that the canary had before fail.
func (h *history) failLate() {
	h.live = allParts / 10
	h.pass(h.now.Add(h.scrape))
	h.fails[h.template] = 1
}

// calm lets everything be well from now on, one last blow aside, and expects the rollout to come to its end.
func (h *history) calm() {
	*h.world = world{
		now: h.now.Add(2 * time.Minute), exists: true, template: h.template, replicas: pick(h.t, "replicas at the end", []int32{4, 4, 2}), held: h.held, guarded: h.guarded, pods: h.pods,
		starting: map[string]int32{}, since: map[string]time.Time{}, readied: map[string]time.Time{}, home: h.home, apart: h.apart,
		tight: h.tight, pace: time.Second, own: h.own, canary: h.canary, live: h.live, trouble: map[string]*Trouble{}, rate: 4000, fails: map[string]float64{}, slow: map[string]bool{},
		scrape: time.Second, owed: map[string]float64{}, retry: h.retry + "at last", answers: map[string]Answer{}, swapped: h.template,
	}
	h.counted = h.now
	if h.canary != nil {
		h.canary.since = h.now
		if h.own {
			h.canary.template = h.template
		}
	}
	h.status.Active = "primary"
	if h.spec.Rollout == nil || *h.spec.Rollout.Paused {
		h.spec.Rollout = nil
		h.setRollout()
		h.spec.Rollout.Paused = nil
	}
	h.spec.Rollout.Analysis.WhenUndecided = nil
	began, asked, last := h.now, h.retry, pick(h.t, "the last blow", blows)
	for n := 0; ; n++ {
		if n%24 == 23 {
			h.agree() // People take a while.
		}
		if last.due(rolloutOf(h.status)) {
			last.do(h)
			last = blows[0]
		}
		before, seen := h.status, h.observe(h.status)
		seen.Gathered = h.memory.gathered
		h.fails = map[string]float64{}
		if h.failing > 0 {
			h.failing--
			h.fails[h.template] = 1
		}
		h.last = Decide(&h.spec, before, seen, h.now)
		h.check(before, seen, h.now, h.last)
		if h.memory.take(h.last, h.now) {
			h.last.Apply(&h.status)
		}
		h.follow(h.last.Intents)
		if len(h.harm) > 0 {
			h.fatalf("%s", strings.Join(h.harm, "; "))
		}
		r := h.status.Rollout
		if r != nil && r.Phase == idle && r.Failed != nil && h.retry == asked {
			h.retry += " and again" // What failed before the calm is tried once more.
		}
		if r != nil && r.Phase == idle && r.Stable == h.template && r.Failed == nil && !h.last.Changed && h.settled() {
			return
		}
		if n > mostCalm {
			h.fatalf("after %s of calm it is %s: %s", h.now.Sub(began), rolloutOf(h.status).Phase, rolloutOf(h.status).Message)
		}
		next := h.now.Add(time.Second)
		if !h.last.Next.IsZero() {
			next = earlier(next, h.last.Next)
		}
		h.pass(next)
	}
}

// settled: nothing is left of the rollout, and the Deployment is held, with all of its pods of its template.
func (h *history) settled() bool {
	slots := h.status.Traffic
	return h.live == 0 && slots.StableHash == "" && slots.CanaryHash == "" &&
		(h.own || len(h.pods) == 1 && h.held != h.guarded && h.pods[h.template] == h.replicas)
}

func (h *history) fatalf(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%s\nspec: %s\nstatus: %s\nnow: %s\noutcome: %s\npods: %v, canary: %+v, live: %d", fmt.Sprintf(format, args...),
		asJSON(h.t, h.spec.Rollout), asJSON(h.t, h.status), h.now, asJSON(h.t, h.last), h.pods, h.canary, h.live)
}

func asJSON(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
