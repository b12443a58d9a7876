package rollout

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// world is what the followers act on: a Deployment, its canary, a data plane that serves a weight, and calls. It knows nothing of how
// the decider works, and it says when a follower was made to do harm.
type world struct {
	now time.Time

	// The Deployment: its pods by revision.
	exists   bool
	template string
	replicas int32
	held     bool
	// pausedBy is who else pauses it.
	pausedBy string
	pods     map[string]int32
	// paces is how long a pod takes to be replaced or to start.
	pace time.Duration
	// moved is when the Deployment last replaced a pod.
	moved time.Time

	// The canary; with own it is a Service that is always there.
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

	approve, retry, swapped string
	answers                 map[string]Answer
	// refused is what cannot be made true.
	refused string
	// unserved: the canary's Service is not there.
	unserved bool

	harm []string
}

// canaryWorld is the canary Deployment, or the user's own.
type canaryWorld struct {
	template string
	replicas int32
	ready    int32
	// since is when the last pod became ready or began to start.
	since time.Time
}

func newWorld(now time.Time) *world {
	return &world{
		now: now, exists: true, template: "v1", replicas: 4, pods: map[string]int32{"v1": 4}, pace: time.Second,
		trouble: map[string]*Trouble{}, rate: 200, fails: map[string]float64{}, slow: map[string]bool{}, scrape: time.Second, counted: now,
		owed: map[string]float64{}, answers: map[string]Answer{},
	}
}

// pass lets time go by: pods start and are replaced.
func (w *world) pass(to time.Time) {
	for w.now.Before(to) {
		step := earlier(to, w.now.Add(w.pace))
		w.now = step
		w.rollOut()
		w.startCanary()
	}
	w.now = to
}

// rollOut replaces one pod in each pace, as a Deployment that is not paused does, and keeps the number of pods.
func (w *world) rollOut() {
	if !w.exists {
		w.pods = map[string]int32{}
		return
	}
	total := int32(0)
	for _, n := range w.pods {
		total += n
	}
	for revision, n := range w.pods {
		for n > 0 && total > w.replicas {
			n, total = n-1, total-1
			w.pods[revision] = n
		}
	}
	if total < w.replicas {
		w.pods[w.grows()] += w.replicas - total
	}
	if w.paused() || w.now.Sub(w.moved) < w.pace {
		return
	}
	for revision, n := range w.pods {
		if revision != w.template && n > 0 && w.trouble[w.template] == nil {
			w.pods[revision]--
			w.pods[w.template]++
			w.moved = w.now
			return
		}
	}
}

// paused: by whomever.
func (w *world) paused() bool { return w.held || w.pausedBy != "" }

// grows is the revision that new pods have: a paused Deployment goes on with the one that it has.
func (w *world) grows() string {
	if w.paused() {
		for revision, n := range w.pods {
			if n > 0 && revision != w.template {
				return revision
			}
		}
	}
	return w.template
}

func (w *world) startCanary() {
	c := w.canary
	if c == nil {
		return
	}
	if c.ready > c.replicas {
		c.ready = c.replicas
	}
	if c.ready < c.replicas && w.trouble[c.template] == nil && w.now.Sub(c.since) >= w.pace {
		c.ready, c.since = c.ready+1, w.now
	}
}

// follow makes everything true at once that the followers are told, in the order in which they act.
func (w *world) follow(i Intents) {
	w.followWeight(i)
	w.followWorkload(i)
	w.followCanary(i)
}

func (w *world) followWeight(i Intents) { w.live = i.Weight }

func (w *world) followWorkload(i Intents) {
	if !w.exists {
		return
	}
	switch i.Workload {
	case WorkloadHeld:
		w.held = true
		if to := w.grows(); i.Undo && to != w.template {
			w.pods[to], w.pods[w.template] = w.pods[to]+w.pods[w.template], 0
		}
	case WorkloadReleased, WorkloadGivenUp:
		w.held = false
	}
}

// followCanary makes, changes, scales and deletes the canary. Whatever takes calls away from clients is harm.
func (w *world) followCanary(i Intents) {
	if w.own {
		return
	}
	want, c := i.Canary, w.canary
	if w.live > 0 && (!want.Present || want.Replicas == 0) && c != nil {
		w.harm = append(w.harm, fmt.Sprintf("the canary loses its pods while it has weight %d", w.live))
	}
	switch {
	case !want.Present:
		w.canary = nil
	case want.Revision != "" && want.Revision != w.template:
		// The workload's template is another one by now: whoever builds the canary from it would build the wrong one.
	case want.Revision != "" && (c == nil || c.template != want.Revision):
		if w.live > 0 && c != nil {
			w.harm = append(w.harm, fmt.Sprintf("the canary gets another template while it has weight %d", w.live))
		}
		w.canary = &canaryWorld{template: want.Revision, replicas: want.Replicas, since: w.now}
	case c != nil:
		c.replicas = want.Replicas
	}
}

// observe is what can be seen of the world.
func (w *world) observe() Observation {
	out := Observation{Approve: w.approve, Retry: w.retry, Swapped: w.swapped, Answers: w.answers, Refused: w.refused}
	if w.hidden {
		out.Workload.Why, out.Canary.Why = "the API server does not answer", "the API server does not answer"
	} else {
		out.Workload, out.Canary = w.observeWorkload(), w.observeCanary()
	}
	out.DataPlane = DataPlane{Known: !w.deaf, Weight: w.live}
	if w.deaf {
		out.DataPlane.Why = "the route is not accepted"
	}
	switch {
	case w.blind:
		out.Calls.Why = "Prometheus does not answer"
	case w.now.Sub(w.counted) >= w.scrape:
		out.Calls = w.count()
	}
	return out
}

func (w *world) observeWorkload() Workload {
	if w.own {
		return Workload{}
	}
	out := Workload{Known: true, Found: w.exists}
	if !w.exists {
		return out
	}
	out.Settled, out.Held, out.PausedBy, out.Revision, out.Replicas = true, w.held, w.pausedBy, w.template, w.replicas
	running := 0
	for revision, n := range w.pods {
		if n > 0 {
			running++
			out.Running = revision
		}
		out.Ready += n
		if revision != w.template {
			out.Others += n
		} else {
			out.Begun = n
		}
	}
	if running != 1 {
		out.Running = ""
	}
	out.Available = out.Ready
	return out
}

func (w *world) observeCanary() Canary {
	if w.canary == nil {
		return Canary{Known: true}
	}
	out := Canary{Known: true, Found: true, Revision: w.canary.template, Ready: w.canary.ready, ReadySince: w.canary.since, Unserved: w.unserved}
	if w.own {
		out.Revision = ""
	}
	if w.canary.replicas > 0 && !w.own {
		out.Trouble = w.trouble[w.canary.template]
	}
	return out
}

// count gives both sides their calls since they were last counted. A canary without pods gets none: it shares its cluster with stable.
func (w *world) count() Calls {
	seconds := w.now.Sub(w.counted).Seconds()
	out := Calls{Known: true, Source: "Envoy", Start: w.counted, End: w.now, StaleAfter: 30 * time.Second}
	w.counted = w.now
	calls := w.owe("calls", seconds*w.rate)
	canary := uint64(0)
	if w.canary != nil && w.canary.ready > 0 {
		canary = min(calls, w.owe("canary", float64(calls)*float64(w.live)/allParts))
		out.Canary = w.side("canary errors", w.canary.template, w.canary.ready, canary)
	}
	stable, pods := "v1", int32(0)
	for revision, n := range w.pods {
		if n > 0 && n >= w.pods[stable] {
			stable = revision
		}
		pods += n
	}
	out.Stable = w.side("stable errors", stable, pods, calls-canary)
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
