package faults

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// factRow is a row: what a fact becomes, while its workload goes on.
type factRow struct {
	name string
	*workload
	// disturb begins before the operator does, and heal ends it.
	disturb, heal func(*stage)
}

// hostBehind fails over to a host outside the cluster.
var hostBehind = &workload{
	name: "fail over to a host", waits: true,
	with: []func(*v1alpha1.ExposedService){func(exs *v1alpha1.ExposedService) {
		exs.Spec.Backends = []v1alpha1.Backend{shop.ServiceBackend("primary", shop.Primary), hostBackend("far", farHost)}
	}},
	begin: func(s *stage) { s.setReady(shop.Primary, false) }, over: serves("far"),
}

// counted fails over beside counts from a Prometheus server that says that no call fails.
var counted = &workload{
	name: "fail over with counts", counts: true, waits: true,
	begin: func(s *stage) { s.setReady(shop.Primary, false) },
	over: func(s *stage) error {
		if err := serves("backup")(s); err != nil {
			return err
		}
		return s.conditionIs(v1alpha1.ConditionSignalsAvailable, true)
	},
}

func dns(f func(*hosts)) func(*stage) { return func(s *stage) { s.hosts.set(f) } }

func source(l lie) func(*stage) { return func(s *stage) { s.source.set(l) } }

func jump(by time.Duration) func(*stage) { return func(s *stage) { s.clock.jump(by) } }

func nothing(*stage) {}

func factRows(played []*workload) []factRow {
	rows := []factRow{
		{"DNS fails", hostBehind, dns(func(h *hosts) { h.fails = true }), dns(func(h *hosts) { h.fails = false })},
		{"DNS hangs", hostBehind, dns(func(h *hosts) { h.hangs = true }), dns(func(h *hosts) { h.hangs = false })},
		{
			"DNS knows nothing", hostBehind,
			dns(func(h *hosts) { h.answers[farHost] = nil }), dns(func(h *hosts) { h.answers[farHost] = farAddresses }),
		},
		{
			"DNS changes its mind", hostBehind,
			dns(func(h *hosts) { h.answers[farHost] = []string{"203.0.113.9"} }), dns(func(h *hosts) { h.answers[farHost] = farAddresses }),
		},
		{
			"DNS answers nonsense", hostBehind,
			dns(func(h *hosts) { h.answers[farHost] = []string{"", "no address", "::1", "127.0.0.1"} }),
			dns(func(h *hosts) { h.answers[farHost] = farAddresses }),
		},
	}
	rows = append(rows,
		factRow{
			"the Service vanishes", failOver,
			func(s *stage) { s.delete(shop.Service(s.namespace, shop.Primary)) }, func(s *stage) { s.create(shop.Service(s.namespace, shop.Primary)) },
		},
		factRow{
			"the GatewayClass vanishes", failOver,
			func(s *stage) { s.delete(s.gatewayClass()) }, func(s *stage) { s.create(s.gatewayClass()) },
		},
		factRow{
			"the Service has another port", failOver,
			func(s *stage) {
				edit(s.world, shop.Service(s.namespace, shop.Primary), func(service *corev1.Service) { service.Spec.Ports[0].Port = 1 })
			},
			func(s *stage) {
				edit(s.world, shop.Service(s.namespace, shop.Primary), func(service *corev1.Service) { service.Spec.Ports[0].Port = shop.GRPCPort })
			},
		},
	)
	for _, l := range []lie{hanging, garbage, unavailable, empty, ahead, behind, stopped, falling, negative} {
		rows = append(rows, factRow{"a source: " + string(l), counted, source(l), source(honest)})
	}
	for _, wl := range played {
		rows = append(
			rows,
			factRow{"the clock jumps ahead", wl, jump(2 * time.Hour), nothing},
			factRow{"the clock jumps back", wl, jump(-20 * time.Minute), nothing},
			factRow{"the clock jumps ahead and back", wl, jump(2 * time.Hour), jump(-2 * time.Hour)},
		)
	}
	return rows
}

// TestFactsFailAndLie: endpoints are followed whatever else is known or not, nothing is taken away, and the end is as without.
func TestFactsFailAndLie(t *testing.T) {
	rows := sample(t, factRows(played(t)), 4)
	var wls []*workload
	for _, row := range rows {
		if !slices.Contains(wls, row.workload) {
			wls = append(wls, row.workload)
		}
	}
	playUndisturbed(t, wls...)
	t.Run("rows", func(t *testing.T) {
		for _, row := range rows {
			without := referenceOf(t, row.workload)
			t.Run(row.name+", "+row.workload.name, func(t *testing.T) {
				t.Parallel()
				row.run(t, without)
			})
		}
	})
}

func (row factRow) run(t *testing.T, without *reference) {
	s := newStage(t, row.workload)
	g := s.guard()
	row.disturb(s)
	s.restart()
	row.begin(s)
	if row.workload == hostBehind || row.workload == counted {
		s.until("the failover meanwhile", func() error { return serves(s.exs.Spec.Backends[1].Name)(s) })
	}
	s.rest(s.operator)
	row.heal(s)
	s.finish(without.want)
	if row.takesNothing() && g.lost() != "" {
		t.Errorf("something was taken away:\n%s", g.lost())
	}
	done.add("facts: rows", 1)
	done.add("faults injected", 1)
}

// countedBy has a server asked for the calls.
func (p *promServer) countedBy(exs *v1alpha1.ExposedService) {
	exs.Spec.Failover = &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{
		MaxPercent: "5", Source: ptr.To(v1alpha1.SourcePrometheus),
		Prometheus: &v1alpha1.PrometheusSource{Address: p.url, Calls: "calls_{{.Backend}}", Errors: "errors_{{.Backend}}"},
	}}
}
