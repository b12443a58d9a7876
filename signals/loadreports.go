package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// LoadReader reads what clients of Headgate's own xDS have reported of an ExposedService.
type LoadReader interface {
	// Loads is what each replica of Headgate has been told, one entry for each. It is an error not to
	// know which replicas there are.
	Loads(ctx context.Context, namespace, name string) ([]ReplicaLoads, error)
}

// ReplicaLoads is what the clients of one replica of Headgate have reported.
type ReplicaLoads struct {
	// Replica says which it is, for people. Run tells this start of it from all others there have ever been.
	Replica, Run string
	// Heard: a client that is connected has reported on the ExposedService, and lately.
	Heard bool
	// Loads are by the locality of the backend.
	Loads map[string]Load
	// TellsInFlight: the replica says how many calls are under way, so that 0 of them are none. One of an older version does not.
	TellsInFlight bool
	// TellsGivenUp: it says how many were given up.
	TellsGivenUp bool
	// Err is why the replica says nothing.
	Err error
}

// Load are the calls to a backend.
type Load struct {
	// Succeeded and Failed have ended since the start of a run, and Issued have begun since then. They only grow during a run.
	Succeeded, Failed, Issued uint64
	// InFlight are under way: the sum of what each client that is connected said last, and lately.
	InFlight uint64
	// GivenUp have ended without an outcome since the start of the run, and only grow as well.
	GivenUp uint64
}

// LoadReportsConfig is what a LoadReports source needs. Zero limits get defaults.
type LoadReportsConfig struct {
	// Reader asks the replicas. Required.
	Reader LoadReader
	// Clock says when. Required.
	Clock clock.PassiveClock
	// Bound is how long a reading may be used. The default is 15 s.
	Bound time.Duration
	// MaxGap is how long ago the last look may be for its counts to be used. The default is Bound: what failed
	// before may be over.
	MaxGap time.Duration
}

// LoadReports counts calls by the load reports of Envoys and gRPC clients that Headgate itself configures. They
// count attempts. What is an error is for the client to say: Envoy takes for one what HTTP would answer with
// 5xx, a gRPC client whatever is not OK.
//
// Each client reports to one replica of Headgate. Only when all replicas answer is anything known: what is left out
// could be the part that matters. Clients that have gone silent are left out; without any that is heard nothing is known.
type LoadReports struct {
	health

	config LoadReportsConfig

	mu sync.Mutex
	// last is when everything was last counted; zero: never.
	last time.Time
	runs map[string]*run
}

// run is what has been counted of a run.
type run struct {
	seen  time.Time
	loads map[string]Load
}

var _ Source = (*LoadReports)(nil)

// NewLoadReports makes the source for one ExposedService.
func NewLoadReports(config LoadReportsConfig) *LoadReports {
	config.Bound = cmp.Or(config.Bound, 15*time.Second)
	config.MaxGap = cmp.Or(config.MaxGap, config.Bound)
	return &LoadReports{config: config, runs: map[string]*run{}}
}

// Name implements Source.
func (*LoadReports) Name() string { return "LoadReports" }

// Read implements Source.
func (l *LoadReports) Read(ctx context.Context, query Query) (Reading, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	replicas, err := l.config.Reader.Loads(ctx, query.Namespace, query.Name)
	// What was reported while the replicas were asked may be in it.
	now := l.config.Clock.Now()
	reading := Reading{Source: l.Name(), Taken: now, Bound: l.config.Bound, Asked: len(replicas)}
	if err != nil {
		return l.fail(reading, query, err)
	}
	heard := false
	var silent error
	for _, replica := range replicas {
		if replica.Err != nil {
			silent = errors.Join(silent, fmt.Errorf("replica %s: %w", replica.Replica, replica.Err))
			reading.Notes = append(reading.Notes, presentable(fmt.Sprintf("replica %s: %v", replica.Replica, replica.Err)))
			continue
		}
		reading.Answered++
		heard = heard || replica.Heard
	}
	if silent != nil {
		return l.fail(reading, query, silent)
	}
	l.succeeded(now, "")
	if !heard {
		reading.Backends = allUnknown(query, UnknownEmpty, "no client that is connected reports its calls")
		return reading, nil
	}
	reading.Backends, reading.Work = l.count(query, replicas, now)
	return reading, nil
}

// fail makes everything unknown, and leaves what was counted as it is.
func (l *LoadReports) fail(reading Reading, query Query, err error) (Reading, error) {
	message := presentable(err.Error())
	l.failed(message)
	reading.Backends = allUnknown(query, UnknownUnreachable, message)
	return reading, errors.New(message)
}

// count takes what all replicas have, and hands out what it grew by since the last look.
func (l *LoadReports) count(query Query, replicas []ReplicaLoads, now time.Time) (map[string]Counts, Work) {
	since := l.last
	gap := now.Sub(since)
	grown := map[string]Load{}
	var work reportedWork
	for _, replica := range replicas {
		last := l.lastOf(replica.Run)
		growth := l.grow(replica, now)
		if !last.IsZero() && now.Sub(last) <= l.config.MaxGap {
			work.add(query, replica, growth, last)
		}
		for backend, more := range growth {
			sum := grown[backend]
			sum.Succeeded += more.Succeeded
			sum.Failed += more.Failed
			sum.Issued += more.Issued
			sum.InFlight += more.InFlight
			sum.GivenUp += more.GivenUp
			grown[backend] = sum
		}
	}
	l.last = now
	l.forget(now)
	switch {
	case since.IsZero():
		return allUnknown(query, UnknownFirstLook, firstLook), Work{}
	case gap < 0:
		return allUnknown(query, UnknownTime, fmt.Sprintf("the last look is %s in the future: calls are counted from now on", -gap.Round(time.Second))), Work{}
	case gap > l.config.MaxGap:
		return allUnknown(query, UnknownGap, fmt.Sprintf("the last look was %s ago: calls are counted from now on", gap.Round(time.Second))), Work{}
	}
	out := make(map[string]Counts, len(query.Backends))
	for _, backend := range query.Backends {
		load := grown[backend.locality()]
		counts := Counts{
			Calls: load.Succeeded + load.Failed, Errors: load.Failed, Start: since, End: now,
			NoLatencies: "clients do not report them",
		}
		if counts.TellsBegun = tells(replicas, ReplicaLoads.tellsBegun); counts.TellsBegun {
			counts.Begun, counts.InFlight = load.Issued, load.InFlight
		}
		if counts.TellsCancelled = tells(replicas, ReplicaLoads.tellsCancelled); counts.TellsCancelled {
			counts.Cancelled = load.GivenUp
		}
		out[backend.Name] = counts
	}
	return out, work.at(replicas, now)
}

// grow is what a replica's loads grew by since they were last counted, by the locality of the backend, with what is under way now:
//   - those of a run that is new are only remembered, because they may be from before the last look;
//   - a backend that is new in a run that is known had no call before;
//   - one that is missing is remembered, and one that fell, which none should, starts from there.
func (l *LoadReports) grow(replica ReplicaLoads, now time.Time) map[string]Load {
	known := l.runs[replica.Run]
	if known == nil {
		l.runs[replica.Run] = &run{seen: now, loads: loadsOf(replica)}
		return nil
	}
	known.seen = now
	grown := make(map[string]Load, len(replica.Loads))
	for backend, load := range replica.Loads {
		was := known.loads[backend]
		known.loads[backend] = load
		if load.Succeeded >= was.Succeeded && load.Failed >= was.Failed && load.Issued >= was.Issued && load.GivenUp >= was.GivenUp {
			grown[backend] = Load{
				Succeeded: load.Succeeded - was.Succeeded, Failed: load.Failed - was.Failed, Issued: load.Issued - was.Issued, InFlight: load.InFlight,
				GivenUp: load.GivenUp - was.GivenUp,
			}
		}
	}
	return grown
}

func (r ReplicaLoads) tellsBegun() bool     { return r.TellsInFlight }
func (r ReplicaLoads) tellsCancelled() bool { return r.TellsGivenUp }

// tells says whether all replicas with clients do: what one does not tell could be most of it.
func tells(replicas []ReplicaLoads, does func(ReplicaLoads) bool) bool {
	for _, replica := range replicas {
		if replica.Heard && !does(replica) {
			return false
		}
	}
	return true
}

// forget drops runs that have ended.
func (l *LoadReports) forget(now time.Time) {
	for id, known := range l.runs {
		if now.Sub(known.seen) > retention {
			delete(l.runs, id)
		}
	}
}

// loadsOf is a copy that may be written to.
func loadsOf(replica ReplicaLoads) map[string]Load {
	out := make(map[string]Load, len(replica.Loads))
	maps.Copy(out, replica.Loads)
	return out
}
