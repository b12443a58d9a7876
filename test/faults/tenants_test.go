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
	// failovers is how many are measured before a bad object is there, and with it.
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
	var want state
	t.Run("without", func(t *testing.T) { want = tenants(t, badTenant{}, nil) })
	if want == nil {
		t.Fatal("there is nothing to compare with")
	}
	// One after the other: time is measured.
	for _, bad := range sample(t, badTenants, 3) {
		t.Run(bad.name, func(t *testing.T) { tenants(t, bad, want) })
	}
}

// tenants fails over one half of the good ones, then the other beside bad ones; and returns the state of the good ones.
func tenants(t *testing.T, bad badTenant, want state) state {
	w := newWorld(t).withServices()
	w.create(w.gateway(w.namespace))
	for i := range 2 * failovers {
		w.create(w.service(goodService(i)), w.slice(goodService(i), fmt.Sprintf("10.2.%d.1", i), fmt.Sprintf("10.2.%d.2", i)))
		w.create(w.exposedService(goodName(i), func(exs *v1alpha1.ExposedService) {
			exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: sharedGateway}}
			exs.Spec.Hostnames = []v1alpha1.Hostname{goodHost(i)}
			exs.Spec.Backends = []v1alpha1.Backend{serviceBackend("primary", goodService(i)), serviceBackend("backup", backupSvc)}
		}))
	}
	o := w.startOperator()
	for i := range 2 * failovers {
		w.eventually(goodName(i)+" is Ready", func() error { return w.goodIs(i, v1alpha1.ConditionReady) })
	}
	w.untilQuiet(o)
	alone := w.medianFailover(0, failovers)
	if bad.make != nil {
		for i := range badOnes {
			exs := w.exposedService(badName(i))
			bad.make(w, exs)
			w.create(exs)
		}
		for i := range badOnes {
			w.eventually(badName(i)+" was looked at", func() error { return w.wasLookedAt(badName(i)) })
		}
		done.add("faults injected", badOnes)
	}
	beside := w.medianFailover(failovers, 2*failovers)
	t.Logf("a failover takes %s without bad objects, %s beside them", alone, beside)
	if bad.make != nil && beside > slower*alone+slack {
		t.Errorf("a failover takes %s without bad objects, and %s beside them", alone, beside)
	}
	var have state
	w.eventually("the good ones are as without bad ones", func() error {
		w.passTime()
		w.untilQuietFor(quietTime/2, o)
		var err error
		if have, err = w.good(); err != nil {
			return err
		}
		if want == nil {
			return w.haveSettled()
		}
		return differs(want, have)
	})
	done.add("tenants: rows", 1)
	return have
}

// haveSettled is nil when no switch of a good one is so new that it is its own fallback.
func (w *world) haveSettled() error {
	for i := range 2 * failovers {
		exs := w.exposedService(goodName(i))
		if err := w.read(exs); err != nil {
			return err
		}
		if t := exs.Status.Traffic; t.Fallback == exs.Status.Active {
			return fmt.Errorf("%s: %+v", exs.Name, t)
		}
	}
	return nil
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

// medianFailover fails over some of the good ones, one after the other, while bad ones are looked at.
func (w *world) medianFailover(from, to int) time.Duration {
	w.Helper()
	var took []time.Duration
	for i := from; i < to; i++ {
		route := &gwapiv1.GRPCRoute{}
		route.Name, route.Namespace = goodName(i), w.namespace
		slice := w.slice(goodService(i))
		if err := w.read(slice); err != nil {
			w.Fatal(err)
		}
		w.pokeThose("bad-")
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
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
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
