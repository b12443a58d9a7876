package signals

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

func TestWorkThatClientsReport(t *testing.T) {
	const second = time.Second
	gone := ReplicaLoads{Replica: "10.0.0.2:18000", Err: errors.New("connection refused")}
	primary := func(issued, inFlight uint64) map[string]Load {
		return map[string]Load{"primary": {Issued: issued, InFlight: inFlight}, "gone from the spec": {Issued: 10 * issued, InFlight: 1000}}
	}
	older := func(replica ReplicaLoads) ReplicaLoads {
		replica.TellsInFlight = false
		return replica
	}
	unheard := func(replica ReplicaLoads) ReplicaLoads {
		replica.Heard = false
		return replica
	}
	known := func(from, to time.Duration, started, inFlight uint64) Work {
		return Work{Started: started, InFlight: inFlight, Start: noon.Add(from), End: noon.Add(to), Known: true}
	}
	type look struct {
		after    time.Duration
		replicas []ReplicaLoads
		want     Work
	}
	for name, looks := range map[string][]look{
		"the first look counts from here, and a gauge is that of the last": {
			{0, []ReplicaLoads{heard("a", primary(100, 5))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(107, 8))}, known(0, second, 7, 8)},
			{second, []ReplicaLoads{heard("a", primary(107, 0))}, known(second, 2*second, 0, 0)},
		},
		"replicas and backends add up": {
			{0, []ReplicaLoads{heard("a", primary(1, 1)), heard("b", nil)}, Work{}},
			{second, []ReplicaLoads{
				heard("a", map[string]Load{"primary": {Issued: 2, InFlight: 1}, "backup": {Issued: 2, InFlight: 2}}),
				heard("b", map[string]Load{"primary": {Issued: 4, InFlight: 4}, "backup": {Issued: 8, InFlight: 8}}),
			}, known(0, second, 1+2+4+8, 15)},
		},
		"a replica that is new is only remembered, what is under way to its clients as well": {
			{0, []ReplicaLoads{heard("a", primary(1, 1))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(2, 1)), heard("b", primary(1000, 1000))}, known(0, second, 1, 1)},
			{second, []ReplicaLoads{heard("a", primary(2, 1)), heard("b", primary(1003, 2))}, known(second, 2*second, 3, 3)},
		},
		"a replica that starts again begins at nothing": {
			{0, []ReplicaLoads{heard("a", primary(100, 1))}, Work{}},
			{second, []ReplicaLoads{heard("a again", primary(3, 3))}, Work{}},
			{second, []ReplicaLoads{heard("a again", primary(5, 2))}, known(second, 2*second, 2, 2)},
		},
		"one replica that does not answer makes everything unknown, and nothing is lost": {
			{0, []ReplicaLoads{heard("a", primary(1, 0)), heard("b", primary(1, 0))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(2, 5)), gone}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(3, 5)), heard("b", primary(4, 1))}, known(0, 2*second, 5, 6)},
		},
		"a replica of an older version makes it unknown while clients report to it": {
			{0, []ReplicaLoads{heard("a", primary(1, 1)), older(heard("b", primary(1, 0)))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(2, 1)), older(heard("b", primary(2, 0)))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(4, 1)), older(unheard(heard("b", nil)))}, known(second, 2*second, 2, 1)},
		},
		"silent clients are not clients without calls": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, Work{}},
			{second, []ReplicaLoads{unheard(heard("a", primary(1, 0)))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(3, 1))}, known(0, 2*second, 2, 1)},
		},
		"a replica that was not listed for a while counts from when it was": {
			{0, []ReplicaLoads{heard("a", primary(1, 0)), heard("b", primary(1, 0))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(2, 0))}, known(0, second, 1, 0)},
			{second, []ReplicaLoads{heard("a", primary(3, 0)), heard("b", primary(9, 1))}, known(0, 2*second, 1+8, 1)},
		},
		"one that was not listed for too long is only remembered": {
			{0, []ReplicaLoads{heard("a", primary(1, 0)), heard("b", primary(1, 0))}, Work{}},
			{10 * second, []ReplicaLoads{heard("a", primary(2, 0))}, known(0, 10*second, 1, 0)},
			{10 * second, []ReplicaLoads{heard("a", primary(3, 0)), heard("b", primary(900, 50))}, known(10*second, 20*second, 1, 0)},
			{second, []ReplicaLoads{heard("a", primary(3, 0)), heard("b", primary(902, 2))}, known(20*second, 21*second, 2, 2)},
		},
		"what is too long ago says nothing of now": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, Work{}},
			{16 * second, []ReplicaLoads{heard("a", primary(100, 1))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(101, 1))}, known(16*second, 17*second, 1, 1)},
		},
		"a clock that was set back starts anew": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, Work{}},
			{-time.Hour, []ReplicaLoads{heard("a", primary(100, 1))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(101, 1))}, known(-time.Hour, -time.Hour+second, 1, 1)},
		},
		"in no time nothing can be told": {
			{0, []ReplicaLoads{heard("a", primary(1, 0))}, Work{}},
			{0, []ReplicaLoads{heard("a", primary(2, 0))}, Work{}},
		},
		"a total that fell adds nothing": {
			{0, []ReplicaLoads{heard("a", primary(100, 1))}, Work{}},
			{second, []ReplicaLoads{heard("a", primary(5, 1))}, known(0, second, 0, 0)},
			{second, []ReplicaLoads{heard("a", primary(6, 1))}, known(second, 2*second, 1, 1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &replicaLoads{}
			clock := clocktesting.NewFakePassiveClock(noon)
			source := NewLoadReports(LoadReportsConfig{Reader: reader, Clock: clock})
			for i, look := range looks {
				clock.SetTime(clock.Now().Add(look.after))
				reader.replicas = look.replicas
				reading, _ := source.Read(t.Context(), Query{Backends: []Backend{{Name: "primary"}, {Name: "backup"}}})
				if diff := cmp.Diff(look.want, reading.Work); diff != "" {
					t.Errorf("look %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// checkReported: work is known only when calls are, and no more is under way than was said.
func checkReported(t *rapid.T, reading Reading, counts Counts, inFlight uint64) {
	work := reading.Work
	switch {
	case !work.Known && work != (Work{}):
		t.Fatalf("unknown, and %+v", work)
	case !work.Known:
		return
	case !counts.Known() || !work.End.Equal(counts.End) || work.Start.After(counts.Start):
		t.Fatalf("%+v, and counts %+v", work, counts)
	case work.InFlight > inFlight:
		t.Fatalf("%+v, and %d are under way", work, inFlight)
	}
}

func inFlightOf(replicas []ReplicaLoads) (sum uint64) {
	for _, replica := range replicas {
		sum += replica.Loads["primary"].InFlight
	}
	return sum
}
