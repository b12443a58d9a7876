package loadreport_test

import (
	"testing"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/xds/loadreport"
)

func TestTheCallsOfAGRPCClientAreWhatItSaw(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	_, stopPrimary := exposeGreeter(t, r.Cache)
	conn := controlplane.Proxyless(t, bootstrapOf(t, r))
	primary := callAll(t, conn, mixed(500)...)
	r.await("the calls of the primary", func(reading loadreport.Reading) bool { return reading.Backends["primary"] == primary })
	if primary.Failed != 150 {
		t.Errorf("the client saw %+v, of 500 calls 150 fail", primary)
	}
	stopPrimary()
	backup := callAll(t, conn, mixed(200)...)
	r.await("the calls of the backup", func(reading loadreport.Reading) bool { return reading.Backends["backup"] == backup })
	// gRPC reports a call that finds its connection gone, and turns elsewhere before it was sent, as a success.
	reading := r.loads.Read("shop", "greeter")
	if now := reading.Backends["primary"]; now.Failed != primary.Failed || now.Succeeded < primary.Succeeded || !reading.Heard {
		t.Errorf("heard %v, primary %+v, it was %+v", reading.Heard, now, primary)
	}
}

func TestACallOfAGRPCClientIsUnderWayUntilItEnds(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	exposeGreeter(t, r.Cache)
	r.hang(controlplane.Proxyless(t, bootstrapOf(t, r)))
}

func TestTheCallsOfTwoClientsAddUp(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	exposeGreeter(t, r.Cache)
	c := bootstrapOf(t, r)
	first := callAll(t, controlplane.Proxyless(t, c), mixed(100)...)
	c.Node = "another"
	second := callAll(t, controlplane.Proxyless(t, c), mixed(250)...)
	want := loadreport.Totals{Issued: 350, Succeeded: first.Succeeded + second.Succeeded, Failed: first.Failed + second.Failed}
	r.await("the sum", func(reading loadreport.Reading) bool { return reading.Backends["primary"] == want })
}

func TestAClientThatIsGoneTakesNothingAway(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	exposeGreeter(t, r.Cache)
	conn := controlplane.Proxyless(t, bootstrapOf(t, r))
	seen := callAll(t, conn, mixed(100)...)
	r.await("the calls", func(reading loadreport.Reading) bool { return reading.Backends["primary"] == seen && reading.Heard })
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	r.await("silence", func(reading loadreport.Reading) bool { return !reading.Heard })
	if now := r.loads.Read("shop", "greeter").Backends["primary"]; now != seen {
		t.Errorf("%+v, it was %+v", now, seen)
	}
}

func TestAReplicaThatStartsAgainIsAnotherRun(t *testing.T) {
	first := startReplica(t, controlplane.Config{})
	exposeGreeter(t, first.Cache)
	conn := controlplane.Proxyless(t, bootstrapOf(t, first))
	seen := callAll(t, conn, mixed(100)...)
	first.await("the calls", func(reading loadreport.Reading) bool { return reading.Backends["primary"] == seen })
	before := first.loads.Read("shop", "greeter")
	first.Stop()
	// While it is away, calls go on as last configured. A report that is on its way when the connection
	// ends is lost: gRPC clients take what they counted before they send it.
	meanwhile := callAll(t, conn, mixed(50)...)
	again := startReplica(t, controlplane.Config{Authority: first.Authority, Cache: first.Cache, Address: first.Address})
	again.awaitReport()
	later := callAll(t, conn, mixed(100)...)
	again.await("the calls since then", func(reading loadreport.Reading) bool {
		return reading.Backends["primary"].Succeeded >= later.Succeeded && reading.Backends["primary"].Failed >= later.Failed
	})
	if now := again.loads.Read("shop", "greeter").Backends["primary"]; now.Issued > later.Issued+meanwhile.Issued {
		t.Errorf("%+v, there were %d calls", now, later.Issued+meanwhile.Issued)
	}
	if after := again.loads.Read("shop", "greeter"); after.Run == before.Run || after.Run == "" {
		t.Errorf("the run is %q, it was %q", after.Run, before.Run)
	}
}
