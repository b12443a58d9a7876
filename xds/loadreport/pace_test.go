package loadreport_test

import (
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	testclock "k8s.io/utils/clock/testing"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/xds/loadreport"
	"github.com/headgate/headgate/xds/server"
)

// TestClientsReportOftenWhileSomebodyAsks has an Envoy, which takes another interval at any time, and a gRPC client, which reads the first
// answer only.
func TestClientsReportOftenWhileSomebodyAsks(t *testing.T) {
	const often, seldom = time.Second, 10 * time.Second
	clk := testclock.NewFakePassiveClock(time.Now())
	c := controlplane.Config{Cache: controlplane.NewCache()}
	exposeGreeter(t, c.Cache)
	loads := loadreport.New(loadreport.Config{Cache: c.Cache, Interval: often, Idle: seldom, Clock: clk})
	c.Change = func(config *server.Config) { config.Register = loads.Register }
	r := &replica{t: t, ControlPlane: controlplane.Start(t, c), loads: loads}
	told := func(stream reports) time.Duration {
		t.Helper()
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetLoadReportingInterval().AsDuration()
	}
	expect := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: each %v, want each %v", what, got, want)
		}
	}
	envoy := &core.Node{Id: "envoy", UserAgentName: "envoy", ClientFeatures: reporting.GetClientFeatures()}
	conn := r.dial(r.Authority.Workload("shop"))
	fromEnvoy, fromGRPC := open(t, conn, envoy), open(t, conn, reporting)
	elsewhere := open(t, r.dial(r.Authority.Workload("bank")), envoy)
	expect("an Envoy at first", told(fromEnvoy), seldom)
	expect("a gRPC client at first", told(fromGRPC), seldom)
	expect("an Envoy of another namespace", told(elsewhere), seldom)

	loads.Read("shop", "greeter")
	expect("an Envoy of which somebody reads", told(fromEnvoy), often)
	if _, err := fromGRPC.Recv(); status.Code(err) != codes.Unavailable {
		t.Fatalf("the stream of the gRPC client: %v", err)
	}
	fromGRPC = open(t, conn, reporting)
	expect("when the gRPC client comes again", told(fromGRPC), often)

	clk.SetTime(clk.Now().Add(time.Minute))
	send(t, fromEnvoy, tenCalls("shop/greeter", "primary"))
	expect("an Envoy of which nobody reads any more", told(fromEnvoy), seldom)
	send(t, elsewhere, tenCalls("bank/vault", "primary"))
	for _, stream := range []reports{fromEnvoy, fromGRPC, elsewhere} {
		end(t, stream) // nothing else was said
	}
}
