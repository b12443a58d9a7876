package deployments

import (
	"context"
	"reflect"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/controllers/queue"
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

// Inspector reads the ReplicaSets and pods of Deployments that are rolled out. They matter seldom, and there are many more of them than
// matter, so that they are not watched. It also asks the API server whether it holds changed pod templates. It does so beside
// those who decide, who are answered from memory, and wakes them when there is news. It runs on the leader only, like them.
type Inspector struct {
	reader client.Reader
	// writer asks what a write would come to, and writes nothing.
	writer client.Writer
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
	inspectVersions inspectedKind = "versions"
	inspectGuard    inspectedKind = "guard"
)

// subject is a Deployment in one of its versions.
type subject struct {
	name    types.NamespacedName
	uid     types.UID
	version string
}

func subjectOf(d *appsv1.Deployment) subject {
	return subject{name: client.ObjectKeyFromObject(d), uid: d.UID, version: d.ResourceVersion}
}

func (s subject) is(other subject) bool { return s.uid == other.uid && s.version == other.version }

// inspected is what is known of a Deployment.
type inspected struct {
	// wanted is the Deployment as it was asked about last.
	wanted subject
	// seen is the Deployment of which finding is, from the time at; without a version nothing has been read. It was known at the time came.
	seen     subject
	at, came time.Time
	finding  finding
	// err is why the last reading failed; nil: it did not.
	err error
}

// finding is what was read.
type finding struct {
	// versions are those of a Deployment; nil: it is gone.
	versions *versions
	// guard says whether the API server holds changed pod templates.
	guard guard
}

// answer is what is known now.
type answer struct {
	finding

	// read: the finding is of the Deployment as it is. Otherwise it is of an earlier one, which was known at the time came; zero: there is none.
	read bool
	came time.Time
	err  error
}

// NewInspector knows of nothing yet. Start reads.
func NewInspector(reader client.Reader, writer client.Writer, clock clock.WithTicker, wake *queue.WakeUps) *Inspector {
	return &Inspector{
		reader: reader, writer: writer, clock: clock, wake: wake, known: map[inspection]*inspected{},
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
func (i *Inspector) look(key inspection, want subject, period time.Duration) answer {
	now := i.clock.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.known[key]
	if have == nil {
		have = &inspected{}
		i.known[key] = have
	}
	have.wanted = want
	read := have.seen.is(want)
	if have.err == nil && (!read || period > 0 && now.Sub(have.at).Abs() >= period) {
		i.queue.Add(key) // What failed is tried again by the queue.
	}
	return answer{finding: have.finding, read: read, came: have.came, err: have.err}
}

// last is what was read last; an empty one: nothing.
func (i *Inspector) last(key inspection) answer {
	i.mu.Lock()
	defer i.mu.Unlock()
	if have := i.known[key]; have != nil {
		return answer{finding: have.finding, came: have.came, err: have.err}
	}
	return answer{}
}

// rest forgets what was read, of which there is much, but not that it was.
func (i *Inspector) rest(key inspection) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if have := i.known[key]; have != nil {
		have.finding, have.seen = finding{}, subject{}
	}
}

// drop forgets what nobody asks about any more.
func (i *Inspector) drop(key inspection) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.known, key)
}

// forget drops all that is known for an ExposedService.
func (i *Inspector) forget(exs types.NamespacedName) {
	i.drop(inspection{exs, inspectVersions})
	i.drop(inspection{exs, inspectGuard})
}

// failure is why something cannot be read for an ExposedService; nil: nothing failed.
func (i *Inspector) failure(exs types.NamespacedName) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, what := range []inspectedKind{inspectVersions} {
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
	found, err := i.read(ctx, key, want)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	if found.versions != nil {
		want = subjectOf(found.versions.deployment) // It was read as it is now.
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
	// Whoever asked while the reading before was old was told nothing, and may not ask again.
	now := i.clock.Now()
	news := have.err != nil || !have.seen.is(of) || now.Sub(have.came).Abs() > versionsStale || !reflect.DeepEqual(have.finding, found)
	have.seen, have.at, have.came, have.finding, have.err = of, at, now, found, nil
	return news
}

func (i *Inspector) read(ctx context.Context, key inspection, of subject) (finding, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if key.what == inspectGuard {
		found, err := i.probe(ctx, of, key.exs.Name)
		return finding{guard: found}, err
	}
	found, err := readVersions(ctx, i.reader, of.name, key.exs)
	return finding{versions: found}, err
}
