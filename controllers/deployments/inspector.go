package deployments

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/rollout"
)

const (
	// inspectionsAtOnce bounds how many Deployments are looked behind at the same time.
	inspectionsAtOnce = 4
	// readTimeout bounds one read past the cache.
	readTimeout = 10 * time.Second
	// What cannot be read is tried again after firstReadRetry, then each time after twice as long, up to lastReadRetry.
	firstReadRetry = time.Second
	lastReadRetry  = time.Minute
)

// Inspector reads the pods of canaries and the ReplicaSets of held Deployments. Both matter seldom, and there are
// many more of them than matter, so that they are not watched. It reads beside those who decide, who are answered
// from memory, and wakes them when there is news. It runs on the leader only, like them.
type Inspector struct {
	reader client.Reader
	clock  clock.PassiveClock
	queue  queue.Queue[inspection]
	// wake tells the reconciler that there is news.
	wake *queue.WakeUps

	mu    sync.Mutex
	known map[inspection]*inspected
}

// inspection names something that is read for an ExposedService.
type inspection struct {
	exs  types.NamespacedName
	what inspectedKind
}

// inspectedKind is what is read of a Deployment.
type inspectedKind string

const (
	inspectPods        inspectedKind = "pods"
	inspectReplicaSets inspectedKind = "ReplicaSets"
)

// subject is a Deployment in one of its versions.
type subject struct {
	name     types.NamespacedName
	uid      types.UID
	version  string
	selector *metav1.LabelSelector
}

func subjectOf(d *appsv1.Deployment) subject {
	return subject{name: client.ObjectKeyFromObject(d), uid: d.UID, version: d.ResourceVersion, selector: d.Spec.Selector}
}

func (s subject) is(other subject) bool { return s.uid == other.uid && s.version == other.version }

// inspected is what is known of a Deployment's pods or ReplicaSets.
type inspected struct {
	// wanted is the Deployment as it was asked about last, the first time at since.
	wanted subject
	since  time.Time
	// seen is the Deployment of which finding is, from the time at; without a version nothing has been read.
	seen    subject
	at      time.Time
	finding finding
	// err is why the last reading failed; nil: it did not.
	err error
}

// finding is what was read.
type finding struct {
	// trouble is what keeps a pod from running; nil: nothing does.
	trouble *rollout.Trouble
	// readySince is when the newest of the ready pods became so; zero: none is.
	readySince time.Time
	// running are the pod templates of the ReplicaSets that have pods.
	running []corev1.PodTemplateSpec
}

// answer is what is known now.
type answer struct {
	finding

	// read: the finding is of the Deployment as it is. Otherwise it is awaited for that long, or cannot be read.
	read    bool
	awaited time.Duration
	err     error
}

// NewInspector knows of nothing yet. Start reads.
func NewInspector(reader client.Reader, clock clock.WithTicker, wake *queue.WakeUps) *Inspector {
	return &Inspector{
		reader: reader, clock: clock, wake: wake, known: map[inspection]*inspected{},
		queue: queue.New[inspection](firstReadRetry, lastReadRetry, clock),
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: only who decides looks.
func (i *Inspector) NeedLeaderElection() bool { return true }

// Start reads until the context ends.
func (i *Inspector) Start(ctx context.Context) error {
	return queue.Serve(ctx, i.queue, inspectionsAtOnce, i.inspect)
}

// look answers from memory what is known of a Deployment as it is now, and has it read if that is nothing. It has
// it read again, while the answer stands, if that is older than period; 0: nothing can be new before the Deployment is.
func (i *Inspector) look(key inspection, d *appsv1.Deployment, period time.Duration) answer {
	want, now := subjectOf(d), i.clock.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.known[key]
	if have == nil {
		have = &inspected{}
		i.known[key] = have
	}
	if !have.wanted.is(want) {
		have.wanted, have.since = want, now
	}
	read := have.seen.is(want)
	if have.err == nil && (!read || period > 0 && now.Sub(have.at).Abs() >= period) {
		i.queue.Add(key) // What failed is tried again by the queue.
	}
	if !read {
		return answer{awaited: now.Sub(have.since), err: have.err}
	}
	return answer{finding: have.finding, read: true}
}

// drop forgets what nobody asks about any more.
func (i *Inspector) drop(key inspection) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.known, key)
}

// forget drops all that is known for an ExposedService.
func (i *Inspector) forget(exs types.NamespacedName) {
	i.drop(inspection{exs, inspectPods})
	i.drop(inspection{exs, inspectReplicaSets})
}

// failure is why something cannot be read for an ExposedService; nil: nothing failed.
func (i *Inspector) failure(exs types.NamespacedName) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, what := range []inspectedKind{inspectPods, inspectReplicaSets} {
		if have := i.known[inspection{exs, what}]; have != nil && have.err != nil {
			return have.err
		}
	}
	return nil
}

// inspect reads something whose turn it is.
func (i *Inspector) inspect(ctx context.Context, key inspection) {
	want, wanted := i.wantedOf(key)
	if !wanted {
		i.queue.Forget(key)
		return
	}
	began := i.clock.Now()
	found, err := i.read(ctx, key.what, want)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	if i.note(key, want, began, found, err) {
		i.wake.Wake(key.exs)
	}
	if err != nil {
		logf.FromContext(ctx).Error(err, "a rollout goes on without what cannot be read", "exposedservice", key.exs)
		i.queue.AddRateLimited(key)
	} else {
		i.queue.Forget(key)
	}
}

func (i *Inspector) wantedOf(key inspection) (subject, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.known[key]
	if have == nil {
		return subject{}, false
	}
	return have.wanted, true
}

// note takes in what was read of a Deployment, and says whether it is news.
func (i *Inspector) note(key inspection, of subject, at time.Time, found finding, err error) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.known[key]
	if have == nil {
		return false
	}
	if err != nil {
		first := have.err == nil
		have.err = err
		return first
	}
	news := have.err != nil || !have.seen.is(of) || !reflect.DeepEqual(have.finding, found)
	have.seen, have.at, have.finding, have.err = of, at, found, nil
	return news
}

func (i *Inspector) read(ctx context.Context, what inspectedKind, of subject) (finding, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if what == inspectReplicaSets {
		sets, err := replicaSets(ctx, i.reader, of)
		return finding{running: running(sets)}, err
	}
	pods, err := podsOf(ctx, i.reader, of)
	return finding{trouble: podsTrouble(pods), readySince: newestReady(pods)}, err
}

// podsOf reads the pods of a canary from the API server's own cache.
func podsOf(ctx context.Context, reader client.Reader, canary subject) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(canary.selector)
	if err != nil {
		return nil, fmt.Errorf("read the selector of Deployment %s: %w", canary.name, err)
	}
	var list corev1.PodList
	if err := reader.List(ctx, &list, client.InNamespace(canary.name.Namespace), client.MatchingLabelsSelector{Selector: selector},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}); err != nil {
		return nil, fmt.Errorf("list the pods of Deployment %s: %w", canary.name, err)
	}
	return list.Items, nil
}

// replicaSets reads those of a Deployment.
func replicaSets(ctx context.Context, reader client.Reader, of subject) ([]appsv1.ReplicaSet, error) {
	selector, err := metav1.LabelSelectorAsSelector(of.selector)
	if err != nil {
		return nil, fmt.Errorf("read the selector of Deployment %s: %w", of.name, err)
	}
	var list appsv1.ReplicaSetList
	if err := reader.List(ctx, &list, client.InNamespace(of.name.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("list the ReplicaSets of Deployment %s: %w", of.name, err)
	}
	own := list.Items[:0]
	for i := range list.Items {
		if owner := metav1.GetControllerOfNoCopy(&list.Items[i]); owner != nil && owner.UID == of.uid {
			own = append(own, list.Items[i])
		}
	}
	return own, nil
}

// running are the pod templates of the ReplicaSets that have pods.
func running(sets []appsv1.ReplicaSet) []corev1.PodTemplateSpec {
	var out []corev1.PodTemplateSpec
	for i := range sets {
		if sets[i].Status.Replicas > 0 {
			out = append(out, sets[i].Spec.Template)
		}
	}
	return out
}
