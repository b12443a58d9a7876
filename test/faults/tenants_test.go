package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// badTenant is an object that cannot be served as it is.
type badTenant struct {
	name string
	make func(w *world, exs *v1alpha1.ExposedService)
}

var badTenants = []badTenant{
	{"an override that no schema has", overridden(v1alpha1.OverrideBackendTrafficPolicy, `{"spec":{"retry":"often"}}`)},
	{"an override that breaks the route", overridden(v1alpha1.OverrideGRPCRoute, `{"metadata":{"labels":{"team":"not a label"}}}`)},
	{"a Service that is not there", func(_ *world, exs *v1alpha1.ExposedService) { exs.Spec.Backends[0].Service.Name = "nowhere" }},
	{"a port that is not there", func(_ *world, exs *v1alpha1.ExposedService) { exs.Spec.Backends[0].Service.Port = 1 }},
	{"a class that is not there", func(_ *world, exs *v1alpha1.ExposedService) {
		name := "nowhere"
		exs.Spec.Gateway.ClassName = &name
	}},
	{"hosts of others", func(_ *world, exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: sharedGateway}}
		exs.Spec.Hostnames = []v1alpha1.Hostname{goodHost(0), goodHost(1), "*.example.com"}
	}},
	{"a host of which DNS does not answer", func(w *world, exs *v1alpha1.ExposedService) {
		w.hosts.set(func(h *hosts) { h.hangs = true })
		exs.Spec.Backends[1] = hostBackend("backup", "hanging.example.com")
	}},
	{"a Prometheus that does not answer", func(w *world, exs *v1alpha1.ExposedService) {
		p := w.startPrometheus()
		p.set(hanging)
		p.countedBy(exs)
	}},
	{"a rollout of nothing", func(_ *world, exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "nowhere"}}
	}},
}

func overridden(kind v1alpha1.OverrideKind, patch string) func(*world, *v1alpha1.ExposedService) {
	return func(_ *world, exs *v1alpha1.ExposedService) {
		exs.Spec.Overrides = []v1alpha1.Override{override(kind, patch)}
	}
}

const (
	// failovers is how many are measured.
	failovers = 5
	// badOnes is how many bad objects of a kind there are.
	badOnes = 3
	// A decision beside bad objects may take this many times as long as without, and slack more.
	slower = 3
	slack  = 50 * time.Millisecond
)

func badName(i int) string { return fmt.Sprintf("bad-%d", i) }

func goodName(i int) string { return fmt.Sprintf("good-%d", i) }

func goodHost(i int) v1alpha1.Hostname {
	return v1alpha1.Hostname(fmt.Sprintf("good-%d.example.com", i))
}

func goodService(i int) string { return fmt.Sprintf("good-%d-svc", i) }

// TestBadObjectsOfOneTenantBesideGoodOnes: the good ones end as without them, and are failed over as fast.
func TestBadObjectsOfOneTenantBesideGoodOnes(t *testing.T) {
	// One after the other: time is measured.
	for _, bad := range sample(t, badTenants, 1) {
		t.Run(bad.name, bad.run)
	}
}

// run fails over good ones in a world without bad ones, and in one with them, by turns: whatever else the machine does, it does to both.
func (bad badTenant) run(t *testing.T) {
	alone, beside := newGoodOnes(t), newGoodOnes(t)
	for i := range badOnes {
		exs := beside.exposedService(badName(i))
		bad.make(beside, exs)
		beside.create(exs)
	}
	for i := range badOnes {
		beside.eventually(badName(i)+" was looked at", func() error { return beside.wasLookedAt(badName(i)) })
	}
	done.add("faults injected", badOnes)
	var without, with []time.Duration
	for i := range failovers {
		without = append(without, alone.timeFailover(i))
		beside.pokeThose("bad-")
		with = append(with, beside.timeFailover(i))
	}
	have, most := median(with), slower*median(without)+slack
	t.Logf("a failover takes %s without bad objects, %s beside them", median(without), have)
	if have > most {
		t.Errorf("a failover takes %s without bad objects, and %s beside them: %v, %v", median(without), have, without, with)
	}
	alone.settleGood()
	beside.settleGood()
	beside.eventuallyAt(compareEvery, "the good ones are as without bad ones", func() error {
		want, err := alone.good()
		if err != nil {
			return err
		}
		have, err := beside.good()
		if err != nil {
			return err
		}
		return differs(want, have)
	})
	done.add("tenants: rows", 1)
}

func median(of []time.Duration) time.Duration {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// newGoodOnes is a world with good ones that are Ready, on one Gateway.
func newGoodOnes(t *testing.T) *world {
	w := newWorld(t).withServices()
	w.create(shop.SharedGateway(w.namespace, sharedGateway, w.class))
	for i := range failovers {
		w.create(shop.Service(w.namespace, goodService(i)), w.slice(goodService(i), fmt.Sprintf("10.2.%d.1", i), fmt.Sprintf("10.2.%d.2", i)))
		w.create(w.exposedService(goodName(i), func(exs *v1alpha1.ExposedService) {
			exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: sharedGateway}}
			exs.Spec.Hostnames = []v1alpha1.Hostname{goodHost(i)}
			exs.Spec.Backends = []v1alpha1.Backend{shop.ServiceBackend("primary", goodService(i)), shop.ServiceBackend("backup", shop.Backup)}
		}))
	}
	o := w.startOperator()
	for i := range failovers {
		w.eventually(goodName(i)+" is Ready", func() error { return w.goodIs(i, v1alpha1.ConditionReady) })
	}
	w.untilQuiet(o)
	return w
}

// timeFailover takes the primary of a good one down, and waits for its route to lead to the backup.
func (w *world) timeFailover(i int) time.Duration {
	w.Helper()
	route := &gwapiv1.GRPCRoute{}
	route.Name, route.Namespace = goodName(i), w.namespace
	start := time.Now()
	w.setReady(goodService(i), false)
	w.eventually("the route of "+goodName(i)+" leads to the backup", func() error {
		if err := w.read(route); err != nil {
			return err
		}
		for _, ref := range route.Spec.Rules[0].BackendRefs {
			if string(ref.Name) == goodName(i)+"-backup-gw" && ref.Weight != nil && *ref.Weight > 0 {
				return nil
			}
		}
		return fmt.Errorf("%+v", route.Spec.Rules[0].BackendRefs)
	})
	return time.Since(start)
}

// settleGood lets time pass until no switch of a good one is so new that it is its own fallback.
func (w *world) settleGood() {
	w.Helper()
	w.passTime()
	w.eventually("the good ones have settled", func() error {
		for i := range failovers {
			exs := w.exposedService(goodName(i))
			if err := w.read(exs); err != nil {
				return err
			}
			if t := exs.Status.Traffic; t.Fallback == exs.Status.Active || t.Settling != "" {
				return fmt.Errorf("%s: %+v", exs.Name, t)
			}
		}
		return nil
	})
}

func (w *world) wasLookedAt(name string) error {
	exs := w.exposedService(name)
	if err := w.read(exs); err != nil {
		return err
	}
	if len(exs.Status.Conditions) == 0 {
		return errors.New("it has no conditions")
	}
	return nil
}

func (w *world) goodIs(i int, condition string) error {
	exs := w.exposedService(goodName(i))
	if err := w.read(exs); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(exs.Status.Conditions, condition) {
		return fmt.Errorf("%s: %+v", exs.Name, exs.Status.Conditions)
	}
	return nil
}

// good is the state of the good ones.
func (w *world) good() (state, error) {
	all, err := w.state()
	out := state{}
	for name, is := range all {
		if strings.Contains(name, " good-") {
			out[name] = is
		}
	}
	return out, err
}
