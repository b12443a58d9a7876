package controllers

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// statusWrites counts those of an ExposedService.
func (t *transport) statusWrites(name string) int {
	n := 0
	for _, write := range t.written() {
		if strings.HasSuffix(write, "/exposedservices/"+name+"/status") {
			n++
		}
	}
	return n
}

// TestARolloutWritesItsEvidenceNowAndThen: while a step is held and calls come each second, the status is written each 15 seconds.
func TestARolloutWritesItsEvidenceNowAndThen(t *testing.T) {
	const looks, perLook = 60, 500
	server, analysis := startSides(t)
	var wire *transport
	p := startPlay(t, analysis, inHaste(server.clock), func(_ *Config, transport *transport) { wire = transport })
	edit(p.world, p.exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout.Steps[0].Hold = ptr.To(v1alpha1.LongDuration("1h"))
	})
	p.ship()
	p.untilIs("the verdict on the first step", func(status v1alpha1.RolloutStatus) bool { return len(status.Verdicts) == 1 })

	seen := func() (n float64) {
		server.set(func(s *sidesPrometheus) { n = s.looks })
		return n
	}
	began := server.clock.Now()
	from, writes, calls := seen(), wire.statusWrites(p.exs.Name), p.exs.Status.Rollout.Evidence.Canary.Calls
	p.untilIs("more looks", func(v1alpha1.RolloutStatus) bool { return seen() >= from+looks })
	// On a busy machine a look takes more than a second of this clock.
	most := int(server.clock.Since(began)/(15*time.Second)) + 4
	if more := wire.statusWrites(p.exs.Name) - writes; more < 2 || more > most {
		t.Errorf("%d writes of the status in %d looks, and not more than %d are to be", more, looks, most)
	}
	if more := p.exs.Status.Rollout.Evidence.Canary.Calls - calls; more < perLook*looks/2 || float64(more) > perLook*(seen()-from+2) {
		t.Errorf("%d calls of the canary are on record after %d looks", more, looks)
	}
}
