package rollout

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// world is what the followers act on: a Deployment with its ReplicaSets, a data plane that serves a weight, and calls. It knows nothing of
// how the decider works, and it says when a follower was made to do harm. A revision's pod-template-hash is the revision itself.
type world struct {
	now time.Time

	// The Deployment.
	exists   bool
	template string
	replicas int32
	held     bool
	// guarded: a changed pod template is held in the write that changes it, and nothing is paused at rest.
	guarded bool
	// pausedBy is who else pauses it.
	pausedBy string
	// pods are those of each revision, and starting those of them that are not ready yet, since when the last one began or became so.
	pods, starting map[string]int32
	since          map[string]time.Time
	// readied is when the last pod of a revision became ready.
	readied map[string]time.Time
	// tight: no pod may be missing in a rolling update.
	tight bool
	// apart is the revision whose ReplicaSet is not the Deployment's; empty: none is.
	apart string
	// home is the revision that the controller makes pods of when there are none.
	home string
	// restart is the template that differs from the stable one by a restart alone.
	restart string
	// previous are the revisions in the history, waits is what pods wait for, deadline when they are late.
	previous []string
	waits    string
	deadline time.Duration
	// pace is how long a pod takes to start.
	pace time.Duration
	// moved is when the Deployment last replaced a pod.
	moved time.Time

	// canary is that of the user's own, with own: a Service that is always there.
	own     bool
	canary  *canaryWorld
	trouble map[string]*Trouble

	// live is the weight that the data plane serves.
	live int32

	// rate is how many calls arrive in a second; fails is the share that fails, by revision; outage is what fails in any; slow are
	// the revisions whose calls take twice as long.
	rate   float64
	fails  map[string]float64
	outage float64
	slow   map[string]bool
	scrape time.Duration
	// timeless is why nobody can say how long calls took; empty: it is counted.
	timeless string
	// blind: nobody can count calls. deaf: the data plane says nothing. hidden: nothing is known of workload and canary.
	blind, deaf, hidden bool
	counted             time.Time
	owed                map[string]float64
	// turn is whose turn it is among the pods to have what is left over.
	turn int

	approve, retry, swapped, promote, skip, abort string
	answers                                       map[string]Answer
	by                                            map[string]string
	// refused is what cannot be made true.
	refused string
	// unserved: the canary's Service is not there.
	unserved bool

	harm []string
}

// canaryWorld is the user's own canary.
type canaryWorld struct {
	template string
	ready    int32
	since    time.Time
}

func newWorld(now time.Time) *world {
	return &world{
		now: now, exists: true, template: "v1", replicas: 4, pods: map[string]int32{"v1": 4}, starting: map[string]int32{}, since: map[string]time.Time{}, readied: map[string]time.Time{},
		pace: time.Second, home: "v1", trouble: map[string]*Trouble{}, rate: 200, fails: map[string]float64{}, slow: map[string]bool{}, scrape: time.Second,
		counted: now, owed: map[string]float64{}, answers: map[string]Answer{},
	}
}

// surge and missing are maxSurge and maxUnavailable: a quarter of the pods, as by default.
func (w *world) surge() int32 { return (w.replicas + 3) / 4 }

func (w *world) missing() int32 {
	if w.tight {
		return 0
	}
	return w.replicas / 4
}

// ready are the pods of a revision that are.
func (w *world) ready(revision string) int32 { return w.pods[revision] - w.starting[revision] }

// allReady are those of all revisions.
func (w *world) allReady() int32 {
	n := int32(0)
	for revision := range w.pods {
		n += w.ready(revision)
	}
	return n
}

// size gives a revision so many pods: new ones start, and those that start are the first to go.
func (w *world) size(revision string, pods int32) {
	have := w.pods[revision]
	if pods > have {
		w.starting[revision] += pods - have
		w.since[revision] = w.now
	} else {
		w.starting[revision] = max(0, w.starting[revision]-(have-pods))
	}
	w.pods[revision] = pods
	if pods == 0 {
		delete(w.pods, revision)
		delete(w.starting, revision)
		if w.apart == revision {
			w.apart = ""
		}
	}
}

// kill has all pods of a revision start again, for as long as that takes from a time on.
func (w *world) kill(revision string, from time.Time) {
	w.starting[revision], w.since[revision] = w.pods[revision], from
}

// pass lets time go by: pods start and are replaced.
func (w *world) pass(to time.Time) {
	for w.now.Before(to) {
		w.now = earlier(to, w.now.Add(w.pace))
		for revision, n := range w.starting {
			if n > 0 && w.trouble[revision] == nil && w.waits == "" && w.now.Sub(w.since[revision]) >= w.pace {
				w.starting[revision], w.since[revision], w.readied[revision] = n-1, w.now, w.now
			}
		}
		w.control()
		if c := w.canary; w.own && c != nil && c.ready < 2 && w.trouble[c.template] == nil && w.now.Sub(c.since) >= w.pace {
			c.ready, c.since = c.ready+1, w.now
		}
	}
	w.now = to
}

// control does what the Deployment's controller does.
func (w *world) control() {
	if !w.exists {
		w.pods, w.starting, w.apart = map[string]int32{}, map[string]int32{}, ""
		return
	}
	if w.replicas == 0 {
		for revision := range w.pods {
			w.size(revision, 0)
		}
		return
	}
	var inside []string
	for revision := range w.pods {
		if revision != w.apart {
			inside = append(inside, revision)
		}
	}
	slices.Sort(inside)
	switch {
	case len(inside) == 0 && w.paused():
		w.size(w.home, w.replicas)
	case len(inside) == 1 && (w.paused() || inside[0] == w.template):
		w.size(inside[0], w.replicas)
	case !w.paused():
		w.replace(inside)
	}
	if len(inside) == 1 {
		w.home = inside[0]
	}
}

// replace replaces a pod in each pace, with surge, and without more than may be missing.
func (w *world) replace(inside []string) {
	if w.now.Sub(w.moved) < w.pace {
		return
	}
	w.moved = w.now
	total := int32(0)
	for _, revision := range inside {
		total += w.pods[revision]
	}
	if n := w.pods[w.template]; n < w.replicas && total < w.replicas+w.surge() {
		w.size(w.template, n+1)
	}
	for _, revision := range inside {
		if revision != w.template && (w.starting[revision] > 0 || w.allReady() > w.replicas-w.missing()) {
			w.size(revision, w.pods[revision]-1)
			return
		}
	}
}

// paused: by whomever.
func (w *world) paused() bool { return w.held || w.pausedBy != "" }

// change changes the pod template.
func (w *world) change(template string) {
	w.template = template
	w.held = w.held || w.guarded
}

// follow makes everything true at once that the followers are told, in the order in which they act.
func (w *world) follow(i Intents) {
	w.followWeight(i)
	w.followWorkload(i)
	w.followCanary(i)
}

func (w *world) followWeight(i Intents) {
	w.live = i.Weight
}

func (w *world) followWorkload(i Intents) {
	if !w.exists {
		return
	}
	switch i.Workload {
	case WorkloadHeld:
		w.held = true
	case WorkloadAtRest:
		w.held = !w.guarded
	case WorkloadReleased:
		if i.Revision == w.template || i.Canary.StableHash == "" {
			w.held = false
		}
	case WorkloadGivenUp:
		w.held = false
	case WorkloadLeftHeld:
		w.held, w.pausedBy = false, "headgate"
	}
}

// followCanary makes, scales and removes the canary. Whatever takes calls away from clients is harm, and so is whatever gives pods to a
// version that is not proved beyond its share.
func (w *world) followCanary(i Intents) {
	if w.own || !w.exists {
		return
	}
	want := i.Canary
	if want.Present {
		w.apart = ""
		if want.Apart {
			w.apart = want.Revision
		}
	}
	if w.apart != "" && !want.Present && i.Workload != WorkloadAsIs {
		w.size(w.apart, 0)
	}
	if i.Workload == WorkloadReleased || i.Workload == WorkloadAsIs || want.StableHash == "" {
		return
	}
	canary := ""
	if want.Present && (want.Revision == w.template || w.pods[want.Revision] > 0) {
		canary = want.Revision
	}
	if canary == want.StableHash {
		w.harm = append(w.harm, "stable is made a canary of itself")
		return
	}
	for revision := range w.pods {
		if revision != canary && revision != want.StableHash {
			if w.live > 0 && revision == i.Revision && w.replicas > 0 {
				w.harm = append(w.harm, fmt.Sprintf("the canary loses its pods while it has weight %d", w.live))
			}
			w.size(revision, 0)
		}
	}
	stable := w.replicas
	if canary != "" {
		pods := want.Replicas
		if pods < 1 {
			w.harm = append(w.harm, fmt.Sprintf("the canary gets %d of %d pods", pods, w.replicas))
		}
		if !want.Apart {
			pods = min(pods, max(w.replicas-1, 1)) // as the follower does: the Deployment may have been scaled since
			stable = max(0, w.replicas+w.surge()-pods)
		}
		w.size(canary, pods)
	}
	if w.replicas > 0 {
		w.size(want.StableHash, stable)
	}
}

// observe is what can be seen of the world, by who remembers this.
func (w *world) observe(status v1alpha1.ExposedServiceStatus) Observation {
	out := Observation{
		Approve: w.approve, Retry: w.retry, Swapped: w.swapped, Promote: w.promote, Skip: w.skip, Abort: w.abort, By: w.by, Answers: w.answers, Refused: w.refused,
	}
	remembered := ptr.Deref(status.Rollout, v1alpha1.RolloutStatus{})
	traffic := ptr.Deref(status.Traffic, v1alpha1.TrafficStatus{})
	if w.hidden {
		out.Workload.Why, out.Canary.Why = "the API server does not answer", "the API server does not answer"
	} else {
		out.Workload, out.Canary = w.observeWorkload(remembered), w.observeCanary(remembered, traffic)
	}
	out.DataPlane = DataPlane{Known: !w.deaf, Weight: w.live}
	if w.deaf {
		out.DataPlane.Why = "the route is not accepted"
	}
	switch {
	case w.blind:
		out.Calls.Why = "Prometheus does not answer"
	case w.now.Sub(w.counted) >= w.scrape:
		out.Calls = w.count(remembered, traffic)
	}
	return out
}

func (w *world) observeWorkload(status v1alpha1.RolloutStatus) Workload {
	if w.own {
		return Workload{}
	}
	out := Workload{Known: true, Found: w.exists}
	if !w.exists {
		return out
	}
	out.Settled, out.Held, out.PausedBy, out.Guarded, out.Revision, out.Replicas = true, w.held, w.pausedBy, w.guarded, w.template, w.replicas
	out.Surge, out.Unavailable, out.Deadline = w.surge(), w.missing(), w.deadline
	out.Restart = w.restart != "" && w.restart == w.template
	running := 0
	for revision, n := range w.pods {
		running++
		out.Running = revision
		out.Ready += w.ready(revision)
		if revision == w.template {
			out.Begun = n
		} else {
			out.Others += n
		}
	}
	if running != 1 {
		out.Running = ""
	}
	out.Available = out.Ready
	if status.Stable != "" {
		out.Stable = ReplicaSet{Hash: status.Stable, Wants: w.pods[status.Stable], Ready: w.ready(status.Stable), Available: w.ready(status.Stable)}
	}
	out.Next = w.template
	if slices.Contains(w.previous, w.template) {
		out.Previous = []string{w.template}
	}
	return out
}

func (w *world) observeCanary(status v1alpha1.RolloutStatus, traffic v1alpha1.TrafficStatus) Canary {
	if w.own {
		return Canary{Known: true, Found: w.canary != nil, Ready: w.canary.ready, ReadySince: w.canary.since, Unserved: w.unserved}
	}
	out := Canary{Known: true, Endpoints: w.pods[traffic.CanaryHash], Unserved: w.unserved}
	revision := status.Revision
	if n := w.pods[revision]; n > 0 && revision != status.Stable {
		out.Found, out.Revision, out.Wants = true, revision, n
		out.Ready, out.Available, out.ReadySince = w.ready(revision), w.ready(revision), w.readied[revision]
		out.Trouble, out.Waits = w.trouble[revision], w.waits
	}
	return out
}

// count gives both sides their calls since they were last counted. A side without ready pods gets none: both share a cluster.
func (w *world) count(status v1alpha1.RolloutStatus, traffic v1alpha1.TrafficStatus) Calls {
	seconds := w.now.Sub(w.counted).Seconds()
	out := Calls{Known: true, Source: "Envoy", Start: w.counted, End: w.now, StaleAfter: 30 * time.Second}
	w.counted = w.now
	calls := w.owe("calls", seconds*w.rate)
	canaryRevision, canaryPods := status.Revision, w.ready(status.Revision)
	stableRevision, stablePods := status.Stable, w.ready(status.Stable)
	switch {
	case w.own:
		canaryRevision, canaryPods = w.canary.template, w.canary.ready
		stableRevision, stablePods = "v1", 4
	case traffic.CanaryHash == "" || status.Revision == status.Stable:
		canaryPods = 0
		stablePods = w.allReady()
	}
	canary := uint64(0)
	switch {
	case canaryPods <= 0:
	case stablePods <= 0:
		canary = calls
	default:
		canary = min(calls, w.owe("canary", float64(calls)*float64(w.live)/allParts))
	}
	if canary > 0 || canaryPods > 0 {
		out.Canary = w.side("canary errors", canaryRevision, canaryPods, canary)
	}
	if stablePods > 0 || w.own {
		out.Stable = w.side("stable errors", stableRevision, stablePods, calls-canary)
	}
	if w.timeless != "" {
		out.Canary.Latencies, out.Stable.Latencies, out.NoLatencies = nil, nil, w.timeless
	}
	return out
}

func (w *world) side(key, revision string, pods int32, calls uint64) judge.Counts {
	share := min(1, w.fails[revision]+w.outage)
	out := judge.Counts{Calls: calls, Errors: min(calls, w.owe(key, float64(calls)*share))}
	fast, slow := calls*9/10, calls-calls*9/10
	if w.slow[revision] {
		fast, slow = calls/2, calls-calls/2
	}
	out.Latencies = []judge.Bucket{{UpTo: 10 * time.Millisecond, Count: fast}, {UpTo: 100 * time.Millisecond, Count: slow}, {UpTo: judge.Infinity}}
	out.Pods = w.perPod(key, max(1, int(pods)), out.Calls, out.Errors)
	return out
}

// mostCounted is of how many pods calls are counted, as a source tells of a part of many.
const mostCounted = 16

// perPod shares calls and errors out among equal pods, each of which takes its turn.
func (w *world) perPod(key string, pods int, calls, errors uint64) []judge.PodCounts {
	out := make([]judge.PodCounts, min(pods, mostCounted))
	for i := range out {
		out[i] = judge.PodCounts{ID: fmt.Sprintf("%s of pod %d", key, i), Calls: part(calls, pods, i+w.turn), Errors: part(errors, pods, i+w.turn)}
		out[i].Errors = min(out[i].Errors, out[i].Calls)
	}
	w.turn++
	return out
}

// part is one of several nearly equal parts of a number.
func part(of uint64, parts, which int) uint64 {
	n, rest := of/uint64(parts), of%uint64(parts)
	if uint64(which%parts) < rest {
		n++
	}
	return n
}

// owe gives whole numbers whose sums follow those of the fractions.
func (w *world) owe(key string, n float64) uint64 {
	w.owed[key] += n
	whole := uint64(w.owed[key])
	w.owed[key] -= float64(whole)
	return whole
}
