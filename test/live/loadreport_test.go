package live

import (
	"testing"
	"time"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/workers"
	"github.com/headgate/headgate/xds/loadreport"
	"github.com/headgate/headgate/xds/server"
)

// What clients report is what a rollout is judged by: the canary's calls and those of the stable version, told apart, as
// the workers saw them.
func TestLoadReportsTellTheCanaryFromTheStableVersion(t *testing.T) {
	eachClient(t, func(t *testing.T, connect client) {
		c := controlplane.NewCache()
		loads := loadreport.New(loadreport.Config{Cache: c, Interval: 50 * time.Millisecond, Idle: 50 * time.Millisecond})
		s := set(t, connect, setting{canaries: 1, plane: controlplane.Config{
			Cache: c, Change: func(config *server.Config) { config.Register = loads.Register },
		}})
		read := func(backend string) loadreport.Totals {
			return loads.Read(s.exs.Namespace, s.exs.Name).Backends[backend]
		}
		// An Envoy counts from its first report on.
		s.until("reports come", func() bool { return read(primary).Succeeded > 0 })
		s.pods[canary][0].order("errors?share=0.3&code=INTERNAL")
		s.canaryHas(10)
		s.crew.Await("calls of the canary", 100, func(call workers.Call) bool { return isOf(call.Pod, canary) })

		var want loadreport.Totals
		for _, call := range s.crew.Stop() {
			switch {
			case isOf(call.Pod, canary) && call.Err == nil:
				want.Issued, want.Succeeded = want.Issued+1, want.Succeeded+1
			case isOf(call.Pod, canary):
				want.Issued, want.Failed = want.Issued+1, want.Failed+1
			case call.Err != nil:
				s.Errorf("a call failed that the canary has not answered: %v", call.Err)
			}
		}
		if want.Failed == 0 {
			s.Fatalf("none of the %d calls of the canary failed", want.Issued)
		}
		s.until("everything is reported", func() bool { return read(canary) == want })
		s.Logf("canary %+v, primary %+v", read(canary), read(primary))
		if got := read(primary); got.Failed > 0 {
			s.Errorf("%d failures are counted as the primary's", got.Failed)
		}
	})
}
