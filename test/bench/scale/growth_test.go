package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

const (
	// few and many are the numbers of ExposedServices that are compared, and in memory some and many: up to a megabyte that the start
	// has left goes away among the first fifty, by chance, which is half of what these take. Warm are there before, so that what the
	// first of a kind costs once (connections, schemas, pools) is nobody's growth.
	warm = 10
	few  = 50
	some = 100
	many = 200
	// mostGrowth is what one more may cost among many, by what one more costs among fewer: in requests, which repeat exactly, and in
	// memory, where the measured ratio lay between 0.81 and 1.09.
	mostGrowth, mostMemoryGrowth = 1.3, 1.4
	// growthTime bounds the test, which takes a minute on two processors. The operator is built before.
	growthTime = 10 * time.Minute
	// growthQuiet is longer than the operator puts anything off that belongs to a new ExposedService: the fallback's ClusterIP
	// waits three seconds.
	growthQuiet = 4 * time.Second
	// startQuiet is enough after the start.
	startQuiet = time.Second
	// growthCollections is of how many garbage collections the memory in use is the least.
	growthCollections = 10
)

// cost is what some ExposedServices have cost.
type cost struct {
	requests, bytes float64
}

// One more ExposedService costs about the same among two hundred as among fifty: requests to the API server, and memory in use.
// What grows faster than the number of objects fails here before it fails at ten thousand. Ratios within one run are compared,
// so that neither the machine nor a release of Go matters.
func TestOneMoreCostsTheSameAmongMany(t *testing.T) {
	if err := rig.Available(); err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	binary, err := rig.Here().Build(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), growthTime)
	defer cancel()
	g := startGrowth(ctx, t, binary, folder)
	first := g.add(ctx, 0, warm)
	among := map[int]cost{few: g.add(ctx, warm, few), some: g.add(ctx, few, some), many: g.add(ctx, some, many)}
	if err := g.plane.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("each of the first %d: %.1f requests, %.0f KiB", warm, first.requests, first.bytes/1024)
	for _, n := range []int{few, some, many} {
		t.Logf("each up to %d: %.1f requests, %.0f KiB", n, among[n].requests, among[n].bytes/1024)
	}
	if among[some].bytes <= 0 || among[few].requests <= 0 {
		t.Fatalf("nothing was measured: %+v", among)
	}
	if growth := among[many].requests / among[few].requests; growth > mostGrowth {
		t.Errorf("one more of %d costs %.2f times the requests of one more of %d, more than %.1f", many, growth, few, mostGrowth)
	}
	if growth := among[many].bytes / among[some].bytes; growth > mostMemoryGrowth {
		t.Errorf("one more of %d costs %.2f times the memory of one more of %d, more than %.1f", many, growth, some, mostMemoryGrowth)
	}
}

// growth is an operator to which ExposedServices are given bit by bit.
type growth struct {
	t         *testing.T
	server    *rig.APIServer
	plane     *rig.DataPlane
	fleet     *rig.Fleet
	operator  *rig.Operator
	readiness rig.Readiness
	// before is what was counted last.
	before rig.Requests
	heap   float64
}

func startGrowth(ctx context.Context, t *testing.T, binary, folder string) *growth {
	t.Helper()
	g := &growth{t: t}
	var err error
	if g.server, err = rig.StartAPIServer(ctx, rig.Here(), folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.check(g.server.Stop()) })
	following, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	if g.plane, err = g.server.StartDataPlane(following, rig.NewRoutes().Observe); err != nil {
		t.Fatal(err)
	}
	if g.readiness, err = g.server.FollowReadiness(following); err != nil {
		t.Fatal(err)
	}
	if g.fleet, err = g.server.NewFleet(ctx); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(folder, "operator.log")
	// Garbage is collected often, so that a collection need not be waited for.
	g.operator, err = rig.StartOperator(ctx, rig.Start{Binary: binary, Kubeconfig: g.server.Kubeconfig, Log: log, Env: []string{"GOGC=30"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.check(g.operator.Stop())
		if t.Failed() {
			text, _ := os.ReadFile(log) //nolint:errcheck // what there is of it
			t.Logf("the operator said:\n%s", text[max(0, len(text)-4096):])
		}
	})
	g.check(g.operator.UntilReady(ctx))
	g.look(ctx, startQuiet)
	return g
}

// add adds ExposedServices with the numbers from one to before another, and says what each of them has cost.
func (g *growth) add(ctx context.Context, from, to int) cost {
	g.t.Helper()
	requests, heap := g.before, g.heap
	g.check(g.fleet.AddBackends(ctx, from, to))
	g.check(g.fleet.Expose(ctx, from, to))
	numbers := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		numbers = append(numbers, i)
	}
	_, err := g.readiness.Until(ctx, numbers, true)
	g.check(err)
	g.look(ctx, growthQuiet)
	n := float64(to - from)
	return cost{requests: float64(g.before.Since(requests).Sum(rig.All)) / n, bytes: (g.heap - heap) / n}
}

// look counts, as soon as the operator is at rest.
func (g *growth) look(ctx context.Context, quiet time.Duration) {
	g.t.Helper()
	_, err := g.server.Requests.UntilQuiet(ctx, quiet)
	g.check(err)
	g.before, err = g.server.Requests.Counts()
	g.check(err)
	g.heap, err = g.operator.LiveHeap(ctx, growthCollections)
	g.check(err)
}

func (g *growth) check(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}
