package loadreport_test

import (
	"context"
	"testing"
	"time"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/test/grpcapp/greeter"
	"github.com/headgate/headgate/xds/loadreport"
)

func TestTheCallsOfAnEnvoyAreWhatItsClientSaw(t *testing.T) {
	envoy.Path(t)
	r := startReplica(t, controlplane.Config{})
	controlplane.RunEnvoy(t, bootstrapOf(t, r))
	r.awaitReport()
	// The cluster is new to an Envoy that reports already.
	port, _ := exposeGreeter(t, r.Cache)
	conn := controlplane.Through(t, port)
	// Envoy counts a cluster from the first report after it has it.
	primary := func() loadreport.Totals { return r.loads.Read("shop", "greeter").Backends["primary"] }
	for primary().Succeeded == 0 {
		callAll(t, conn, "world")
		r.awaitReport()
	}
	// What was called before a call that fails is reported no later than that is. Twice, because Envoy does not
	// read all counters in one moment.
	for failed := range uint64(2) {
		callAll(t, conn, failAtOnce)
		r.await("the marker", func(reading loadreport.Reading) bool { return reading.Backends["primary"].Failed == failed+1 })
	}
	before := primary()
	seen := callAll(t, conn, mixed(1000)...)
	if seen.Failed != 300 {
		t.Fatalf("the client saw %+v, of 1000 calls 300 fail", seen)
	}
	want := before
	want.Issued += seen.Issued
	want.Succeeded += seen.Succeeded
	want.Failed += seen.Failed
	r.await("the calls", func(reading loadreport.Reading) bool { return reading.Backends["primary"] == want && reading.Heard })
	t.Logf("before %+v, the client saw %+v, after %+v", before, seen, primary())
	r.hang(conn)
}

func TestAnEnvoyTurnsToTheNextReplica(t *testing.T) {
	envoy.Path(t)
	first, second := twoReplicas(t)
	port, _ := exposeGreeter(t, first.Cache)
	controlplane.RunEnvoy(t, bootstrapOf(t, first, second))
	first.awaitReport()
	first.Stop()
	second.awaitReport()
	conn := controlplane.Through(t, port)
	second.await("calls", func(reading loadreport.Reading) bool {
		callAll(t, conn, failAtOnce)
		return reading.Heard && reading.Backends["primary"].Failed > 0
	})
}

// A call that hangs until its caller gives up has no outcome, and Envoy says no more of it than that it is no longer under way.
func TestCallsToAnEnvoyThatWereGivenUp(t *testing.T) {
	envoy.Path(t)
	const enough = 20
	r := startReplica(t, controlplane.Config{})
	port, _ := exposeGreeter(t, r.Cache)
	controlplane.RunEnvoy(t, bootstrapOf(t, r))
	r.awaitReport()
	conn := controlplane.Through(t, port)
	givenUp := func() uint64 { return r.loads.Read("shop", "greeter").GivenUp["primary"] }
	for r.loads.Read("shop", "greeter").Backends["primary"].Succeeded == 0 {
		callAll(t, conn, "world")
	}
	// Nothing is certain of one that is under way while Envoy leaves out a report, because no other call has begun.
	made := uint64(0)
	for deadline := time.Now().Add(patience); givenUp() < enough; made++ {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d calls are known to have been given up", givenUp(), made)
		}
		ctx, cancel := context.WithTimeout(t.Context(), interval/2)
		_, err := greeter.NewGreeterClient(conn).SayHello(ctx, &greeter.HelloRequest{Name: neverEnd})
		cancel()
		if err == nil {
			t.Fatal("a call that hangs was answered")
		}
		callAll(t, conn, "world")
	}
	for range 5 {
		r.awaitReport()
		callAll(t, conn, "world")
	}
	if got := givenUp(); got > made {
		t.Errorf("%d were given up, and %d were made", got, made)
	}
}
