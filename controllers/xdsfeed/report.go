package xdsfeed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
	xdscache "github.com/headgate/headgate/xds/cache"
)

// Pace of the reports. A change of endpoints is acknowledged within milliseconds: what is looked at after
// ReportDelay is what it was before, and nothing is written.
const (
	// ReportDelay is how long after a change its clients are looked at.
	ReportDelay = time.Second
	// ReportInterval is the shortest time between two writes for one ExposedService.
	ReportInterval = 3 * time.Second
	// countInterval is the shortest time between two writes that say nothing but that there are a few clients more or less: each of many
	// comes again every half an hour, perhaps to another replica, and uses many ExposedServices. Metrics have the numbers at once.
	countInterval = 5 * time.Minute
	// reportRetry is how soon a write is tried again that failed.
	reportRetry = 5 * time.Second
	// withdrawTimeout bounds how long the end of a replica may take to withdraw its reports.
	withdrawTimeout = 5 * time.Second
)

// Bounds of the API on what a report may hold, in bytes.
const (
	maxRefusalMessage = 1024
	maxNodeLength     = 253
)

// fieldManager is the field manager of one replica's reports. Each has its own, so that the elements of
// status.xds.replicas have one owner each, and applying nothing in its name removes what it wrote.
func fieldManager(replica string) string { return "headgate-xds-" + replica }

// Reporter writes, for each ExposedService that has clients on this replica, how many they are and how many
// have acknowledged it. It runs on every replica, and writes only what has changed.
type Reporter struct {
	feed   *Feed
	cache  *xdscache.Cache
	client client.Client
	// reader reads ExposedServices from the cache.
	reader  client.Reader
	replica string
	clock   clock.WithTicker
	log     logr.Logger
	reports map[types.NamespacedName]*pendingReport
}

// ReporterConfig is what a Reporter is made with.
type ReporterConfig struct {
	Feed   *Feed
	Cache  *xdscache.Cache
	Client client.Client
	// Reader reads ExposedServices from the cache.
	Reader client.Reader
	// Replica is the name of this one.
	Replica string
	Clock   clock.WithTicker
	Log     logr.Logger
}

// NewReporter has reported nothing yet.
func NewReporter(config ReporterConfig) *Reporter {
	return &Reporter{
		feed: config.Feed, cache: config.Cache, client: config.Client, reader: config.Reader,
		replica: config.Replica, clock: config.Clock, log: config.Log, reports: map[types.NamespacedName]*pendingReport{},
	}
}

// pendingReport is what was written of one ExposedService, and what is to be.
type pendingReport struct {
	// written is what the API server has; nil: nothing.
	written *v1alpha1.XDSReplica
	// writtenAt is when that was written.
	writtenAt time.Time
	// due is when to look; zero: nothing has changed.
	due time.Time
	// refusal is the last one.
	refusal *v1alpha1.XDSRefusal
}

// run reports until the context ends.
func (r *Reporter) run(ctx context.Context) {
	observer := r.cache.Observe()
	defer observer.Close()
	select {
	case <-ctx.Done():
		return
	case <-r.feed.opened:
	}
	r.recall(ctx)
	for {
		timer := r.clock.NewTimer(r.rest())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-observer.Ready():
			timer.Stop()
			for _, event := range observer.Take() {
				r.note(ctx, event)
			}
		case <-timer.C():
		}
		r.writeDue(ctx)
	}
}

// recall finds what an earlier incarnation with this name has left.
func (r *Reporter) recall(ctx context.Context) {
	var list v1alpha1.ExposedServiceList
	if err := r.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		r.log.Error(err, "list ExposedServices")
		return
	}
	for i := range list.Items {
		if written := replicaIn(&list.Items[i], r.replica); written != nil {
			r.reports[client.ObjectKeyFromObject(&list.Items[i])] = &pendingReport{written: written, due: r.clock.Now()}
		}
	}
}

// rest is how long there is nothing to look at.
func (r *Reporter) rest() time.Duration {
	rest := time.Hour
	now := r.clock.Now()
	for _, report := range r.reports {
		if !report.due.IsZero() {
			rest = min(rest, max(report.due.Sub(now), time.Millisecond))
		}
	}
	return rest
}

// note takes in what became of an ExposedService.
func (r *Reporter) note(_ context.Context, event xdscache.Event) {
	report := r.reports[event.Owner]
	if report == nil {
		if event.Status.Clients == 0 && len(event.Nacks) == 0 {
			return
		}
		report = &pendingReport{}
		r.reports[event.Owner] = report
	}
	now := r.clock.Now()
	if n := len(event.Nacks); n > 0 {
		last := event.Nacks[n-1]
		report.refusal = &v1alpha1.XDSRefusal{
			Node: text.Cut(last.Node, maxNodeLength), Type: last.Type.String(), Message: text.Cut(last.Message, maxRefusalMessage),
			Time: metav1.NewMicroTime(now),
		}
	}
	// What is due for its counts alone is looked at again: it may be more by now.
	if report.due.IsZero() || report.due.After(now.Add(ReportInterval)) {
		report.due = now.Add(ReportDelay)
		if earliest := report.writtenAt.Add(ReportInterval); earliest.After(report.due) {
			report.due = earliest
		}
	}
}

// writeDue writes what is due, if it differs from what was written.
func (r *Reporter) writeDue(ctx context.Context) {
	for key, report := range r.reports {
		now := r.clock.Now()
		if report.due.IsZero() || report.due.After(now) {
			continue
		}
		report.due = time.Time{}
		served := r.feed.Served(key)
		if served.Status.Nacked == 0 {
			report.refusal = nil
		}
		want := replicaReport(r.replica, served, report.refusal)
		if equality.Semantic.DeepEqual(want, report.written) {
			r.tidy(key, report)
			continue
		}
		if rest := report.writtenAt.Add(countInterval).Sub(now); rest > 0 && onlyCountsDiffer(want, report.written) {
			report.due = now.Add(rest)
			continue
		}
		if err := r.write(ctx, key, want); err != nil {
			if ctx.Err() != nil {
				return
			}
			r.log.Error(err, "report what xDS clients have acknowledged", "exposedService", key.String())
			report.due = now.Add(reportRetry)
			continue
		}
		report.written, report.writtenAt = want, now
		r.tidy(key, report)
	}
}

// tidy forgets a report that says nothing.
func (r *Reporter) tidy(key types.NamespacedName, report *pendingReport) {
	if report.written == nil && report.refusal == nil {
		delete(r.reports, key)
	}
}

// withdraw removes everything that this replica has written, at its end: its clients go to others.
func (r *Reporter) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	for key, report := range r.reports {
		if report.written == nil {
			continue
		}
		if err := r.write(ctx, key, nil); err != nil {
			r.log.Error(err, "withdraw what xDS clients have acknowledged", "exposedService", key.String())
			return
		}
	}
}

func (r *Reporter) write(ctx context.Context, key types.NamespacedName, want *v1alpha1.XDSReplica) error {
	return ApplyReplica(ctx, r.client, key, r.replica, want)
}

// ApplyReplica writes the part of one replica; nil: removes it.
func ApplyReplica(ctx context.Context, writer client.Client, key types.NamespacedName, replica string, want *v1alpha1.XDSReplica) error {
	status := map[string]any{}
	if want != nil {
		status["xds"] = v1alpha1.XDSStatus{Replicas: []v1alpha1.XDSReplica{*want}}
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindExposedService,
		"metadata": map[string]any{"name": key.Name, "namespace": key.Namespace},
		"status":   status,
	})
	if err != nil {
		return fmt.Errorf("write the report on ExposedService %s as JSON: %w", key, err)
	}
	answer := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace}}
	err = writer.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body),
		client.FieldOwner(fieldManager(replica)), client.ForceOwnership)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write the report on ExposedService %s: %w", key, err)
	}
	return nil
}

// replicaReport is what one replica says of an ExposedService; nil: nothing, because none of its clients uses it.
// It does not change with the endpoints, unless a client does not take them.
func replicaReport(replica string, served Served, refusal *v1alpha1.XDSRefusal) *v1alpha1.XDSReplica {
	status := served.Status
	if served.Generation == 0 || status.Clients == 0 {
		return nil
	}
	out := &v1alpha1.XDSReplica{
		Name: replica, ObservedGeneration: served.Generation, Revision: served.Revision,
		Clients: count32(status.Clients), Acknowledged: count32(status.Acked), Rejecting: count32(status.Nacked),
	}
	if status.Nacked > 0 {
		out.Refusal = refusal
	}
	return out
}

// onlyCountsDiffer says whether two reports differ in nothing but how many clients there are, by less than a tenth, all of which have
// acknowledged what they use.
func onlyCountsDiffer(a, b *v1alpha1.XDSReplica) bool {
	if a == nil || b == nil || a.Acknowledged != a.Clients || b.Acknowledged != b.Clients {
		return false
	}
	counted := *a
	counted.Clients, counted.Acknowledged = b.Clients, b.Acknowledged
	return equality.Semantic.DeepEqual(&counted, b) && 10*max(a.Clients-b.Clients, b.Clients-a.Clients) < max(a.Clients, b.Clients)
}

// replicaIn is what a replica has written of an ExposedService.
func replicaIn(exs *v1alpha1.ExposedService, name string) *v1alpha1.XDSReplica {
	if exs.Status.XDS == nil {
		return nil
	}
	for i := range exs.Status.XDS.Replicas {
		if exs.Status.XDS.Replicas[i].Name == name {
			return exs.Status.XDS.Replicas[i].DeepCopy()
		}
	}
	return nil
}

func count32(n int) int32 { return int32(min(n, 1<<30)) } //nolint:gosec // bounded
