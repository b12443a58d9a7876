package signals

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// replicaLoads are those of some replicas, or an error.
type replicaLoads struct {
	replicas []ReplicaLoads
	err      error
}

func (r *replicaLoads) Loads(context.Context, string, string) ([]ReplicaLoads, error) {
	return r.replicas, r.err
}

func heard(run string, loads map[string]Load) ReplicaLoads {
	return ReplicaLoads{Replica: "of " + run, Run: run, Heard: true, Loads: loads, TellsInFlight: true, TellsGivenUp: true}
}

func TestLoadReportsCountWhatIsAdded(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	gone := ReplicaLoads{Replica: "10.0.0.2:18000", Err: errors.New("connection refused")}
	type look struct {
		after    time.Duration
		replicas []ReplicaLoads
		err      error
		want     Counts // of the primary; Message is not compared
	}
	counted := func(from, to time.Duration, calls, failed uint64) Counts {
		return Counts{
			Calls: calls, Errors: failed, Start: noon.Add(from), End: noon.Add(to), NoLatencies: "clients do not report them",
			TellsBegun: true, TellsCancelled: true,
		}
	}
	primary := func(succeeded, failed uint64) map[string]Load {
		return map[string]Load{"primary": {Succeeded: succeeded, Failed: failed}, "gone from the spec": {Failed: 9}}
	}
	hanging := func(issued, succeeded, inFlight, givenUp uint64) map[string]Load {
		return map[string]Load{"primary": {Issued: issued, Succeeded: succeeded, InFlight: inFlight, GivenUp: givenUp}}
	}
	with := func(counts Counts, begun, inFlight, cancelled uint64) Counts {
		counts.Begun, counts.InFlight, counts.Cancelled = begun, inFlight, cancelled
		return counts
	}
	const second = time.Second
	for name, looks := range map[string][]look{
		"the first look counts from here": {
			{0, []ReplicaLoads{heard("a", primary(100, 5))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", primary(107, 8))}, nil, counted(0, second, 10, 3)},
			{second, []ReplicaLoads{heard("a", primary(107, 8))}, nil, counted(second, 2*second, 0, 0)},
		},
		"replicas add up": {
			{0, []ReplicaLoads{heard("a", primary(1, 0)), heard("b", nil)}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", primary(2, 1)), heard("b", primary(3, 0))}, nil, counted(0, second, 5, 1)},
		},
		"a replica that is new is only remembered": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", primary(2, 0)), heard("b", primary(1000, 1000))}, nil, counted(0, second, 1, 0)},
			{second, []ReplicaLoads{heard("a", primary(2, 0)), heard("b", primary(1000, 1001))}, nil, counted(second, 2*second, 1, 1)},
		},
		"a replica that starts again begins at nothing": {
			{0, []ReplicaLoads{heard("a", primary(100, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a again", primary(3, 0))}, nil, counted(0, second, 0, 0)},
			{second, []ReplicaLoads{heard("a again", primary(5, 0))}, nil, counted(second, 2*second, 2, 0)},
		},
		"one replica that does not answer makes everything unknown, and nothing is lost": {
			{0, []ReplicaLoads{heard("a", primary(1, 0)), heard("b", primary(1, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", primary(2, 5)), gone}, nil, Counts{Unknown: UnknownUnreachable}},
			{second, []ReplicaLoads{heard("a", primary(3, 5)), heard("b", primary(4, 0))}, nil, counted(0, 2*second, 10, 5)},
		},
		"not to know the replicas makes everything unknown": {
			{0, nil, errors.New("no cache yet"), Counts{Unknown: UnknownUnreachable}},
		},
		"silent clients are not clients without calls": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{{Run: "a"}}, nil, Counts{Unknown: UnknownEmpty}},
			{second, []ReplicaLoads{heard("a", primary(3, 0))}, nil, counted(0, 2*second, 2, 0)},
		},
		"what is too long ago says nothing of now": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{16 * second, []ReplicaLoads{heard("a", primary(1, 100))}, nil, Counts{Unknown: UnknownGap}},
			{second, []ReplicaLoads{heard("a", primary(2, 100))}, nil, counted(16*second, 17*second, 1, 0)},
		},
		"a clock that was set back starts anew": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, nil, Counts{Unknown: UnknownFirstLook}},
			{-time.Hour, []ReplicaLoads{heard("a", primary(1, 100))}, nil, Counts{Unknown: UnknownTime}},
			{second, []ReplicaLoads{heard("a", primary(2, 100))}, nil, counted(-time.Hour, -time.Hour+second, 1, 0)},
		},
		"calls that hang": {
			{0, []ReplicaLoads{heard("a", hanging(100, 50, 5, 3)), heard("b", nil)}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", hanging(200, 130, 5, 23)), heard("b", hanging(10, 8, 1, 0))}, nil, with(counted(0, second, 88, 0), 110, 6, 20)},
			{second, []ReplicaLoads{heard("a", hanging(200, 130, 0, 23)), heard("b", hanging(10, 8, 1, 1))}, nil, with(counted(second, 2*second, 0, 0), 0, 1, 1)},
		},
		"a total that fell adds nothing": {
			{0, []ReplicaLoads{heard("a", primary(100, 100))}, nil, Counts{Unknown: UnknownFirstLook}},
			{second, []ReplicaLoads{heard("a", primary(5, 200))}, nil, counted(0, second, 0, 0)},
			{second, []ReplicaLoads{heard("a", primary(6, 200))}, nil, counted(second, 2*second, 1, 0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &replicaLoads{}
			clock := clocktesting.NewFakePassiveClock(noon)
			source := NewLoadReports(LoadReportsConfig{Reader: reader, Clock: clock})
			for i, look := range looks {
				clock.SetTime(clock.Now().Add(look.after))
				reader.replicas, reader.err = look.replicas, look.err
				reading, err := source.Read(t.Context(), Query{Backends: []Backend{{Name: "primary"}}})
				if (err != nil) != (look.want.Unknown == UnknownUnreachable) {
					t.Errorf("look %d: error %v", i, err)
				}
				got := reading.Backends["primary"]
				if got.Known() == (got.Message != "") {
					t.Errorf("look %d: the message is %q", i, got.Message)
				}
				got.Message = ""
				if diff := cmp.Diff(look.want, got); diff != "" || len(reading.Backends) != 1 {
					t.Errorf("look %d: %d backends (-want +got):\n%s", i, len(reading.Backends), diff)
				}
			}
		})
	}
}

// A replica of an older version says less, and what it does not say could be most of it.
func TestWhatReplicasDoNotTell(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*ReplicaLoads)
		begun, cancelled bool
	}{
		"all of it":                {func(*ReplicaLoads) {}, true, true},
		"what was given up":        {func(r *ReplicaLoads) { r.TellsGivenUp = false }, true, false},
		"and what is under way":    {func(r *ReplicaLoads) { r.TellsGivenUp, r.TellsInFlight = false, false }, false, false},
		"but nobody reports to it": {func(r *ReplicaLoads) { r.TellsGivenUp, r.TellsInFlight, r.Heard = false, false, false }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &replicaLoads{}
			clock := clocktesting.NewFakePassiveClock(noon)
			source := NewLoadReports(LoadReportsConfig{Reader: reader, Clock: clock})
			var counts Counts
			for i := range uint64(2) {
				other := heard("b", nil)
				c.change(&other)
				reader.replicas = []ReplicaLoads{heard("a", map[string]Load{"primary": {Issued: 5 * i, InFlight: 2, GivenUp: 3 * i}}), other}
				clock.SetTime(clock.Now().Add(time.Second))
				reading, err := source.Read(t.Context(), Query{Backends: []Backend{{Name: "primary"}}})
				if err != nil {
					t.Fatal(err)
				}
				counts = reading.Backends["primary"]
			}
			if counts.TellsBegun != c.begun || (counts.Begun == 5 && counts.InFlight == 2) != c.begun {
				t.Errorf("%+v", counts)
			}
			if counts.TellsCancelled != c.cancelled || (counts.Cancelled == 3) != c.cancelled {
				t.Errorf("%+v", counts)
			}
		})
	}
}

// Whatever replicas come, go, start again and fail to answer: no call is counted that was not made, and none twice.
func TestLoadReportsNeverCountMoreThanThereWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reader := &replicaLoads{}
		clock := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
		source := NewLoadReports(LoadReportsConfig{Reader: reader, Clock: clock})
		truth, runs, starts := map[string]*Load{}, map[string]string{}, 0
		var made, counted Load
		var started uint64
		var end time.Time
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			clock.SetTime(clock.Now().Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second))
			reader.replicas = nil
			for _, id := range []string{"a", "b", "c"} {
				if truth[id] == nil || rapid.IntRange(0, 9).Draw(t, "restarts") == 0 {
					truth[id] = &Load{}
					starts++
					runs[id] = fmt.Sprint(id, starts)
				}
				more := Load{Succeeded: rapid.Uint64Range(0, 50).Draw(t, "succeeded"), Failed: rapid.Uint64Range(0, 50).Draw(t, "failed")}
				more.Issued = rapid.Uint64Range(0, 100).Draw(t, "issued")
				truth[id].Succeeded += more.Succeeded
				truth[id].Failed += more.Failed
				truth[id].Issued += more.Issued
				more.GivenUp = rapid.Uint64Range(0, 9).Draw(t, "given up")
				truth[id].GivenUp += more.GivenUp
				made.GivenUp += more.GivenUp
				truth[id].InFlight = rapid.Uint64Range(0, 9).Draw(t, "in flight")
				made.Succeeded += more.Succeeded
				made.Failed += more.Failed
				made.Issued += more.Issued
				replica := heard(runs[id], map[string]Load{"primary": *truth[id]})
				switch rapid.IntRange(0, 9).Draw(t, "answer") {
				case 0:
					replica = ReplicaLoads{Replica: id, Err: errors.New("away")}
				case 1:
					continue // not listed
				}
				reader.replicas = append(reader.replicas, replica)
			}
			reading, _ := source.Read(t.Context(), Query{Backends: []Backend{{Name: "primary"}}})
			counts := reading.Backends["primary"]
			started += reading.Work.Started
			checkReported(t, reading, counts, inFlightOf(reader.replicas))
			if started > made.Issued {
				t.Fatalf("%d were started of %d", started, made.Issued)
			}
			if !counts.Known() {
				continue
			}
			if counts.Start.Before(end) || !counts.Start.Before(counts.End) {
				t.Fatalf("counts of %s to %s follow counts to %s", counts.Start, counts.End, end)
			}
			end = counts.End
			counted.Succeeded += counts.Calls - counts.Errors
			counted.Failed += counts.Errors
			counted.Issued += counts.Begun
			counted.GivenUp += counts.Cancelled
			if counted.Succeeded > made.Succeeded || counted.Failed > made.Failed || counted.Issued > made.Issued || counted.GivenUp > made.GivenUp {
				t.Fatalf("counted %+v, made were %+v", counted, made)
			}
		}
	})
}
