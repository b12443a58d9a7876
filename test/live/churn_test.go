package live

import (
	"testing"
	"time"
)

// Fifty changes of endpoints a second: one is unready, terminating or gone, and back with the next change.
func TestFiftyChangesOfEndpointsASecond(t *testing.T) {
	const every = time.Second / 50
	lasting := time.Minute
	if testing.Short() {
		lasting = 4 * time.Second
	}
	eachClient(t, func(t *testing.T, connect client) {
		t.Parallel()
		s := set(t, connect, setting{})
		all := map[string][]*pod{primary: s.pods[primary], backup: s.pods[backup]}
		everyone := append(append([]*pod{}, all[primary]...), all[backup]...)
		away := []func(*pod){
			func(p *pod) { p.unready = true },
			func(p *pod) { p.terminating = true },
			s.remove,
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		begun, changes := time.Now(), int(lasting/every)
		for i := range changes / 2 {
			p := everyone[i%len(everyone)]
			<-tick.C
			away[i/len(everyone)%len(away)](p)
			s.publish()
			<-tick.C
			p.unready, p.terminating = false, false
			s.pods[primary], s.pods[backup] = all[primary], all[backup]
			s.publish()
		}
		s.untilAcknowledged()
		// A machine that is too busy for this many takes longer.
		s.Logf("%d changes in %.1f s", changes, time.Since(begun).Seconds())
		s.crew.Await("calls", steady, by(primary))
		s.nothingFailed()
	})
}
