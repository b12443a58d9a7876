package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// workload is something that people, or the cluster, do with an ExposedService, and that the operator has to bring to its end.
type workload struct {
	name string
	// with is how the ExposedService differs from the usual one.
	with []func(*v1alpha1.ExposedService)
	// ships: there is a Deployment, with the controllers that make its pods.
	ships bool
	// counts: a Prometheus server counts its calls.
	counts bool
	// shared: the Gateway is in another namespace.
	shared bool
	// before brings the stage to where it begins; nil: the ExposedService is Ready.
	before func(*stage)
	// exposes: it begins without the ExposedService.
	exposes bool
	// begin does what is to be followed, and over is nil when that is done.
	begin func(*stage)
	over  func(*stage) error
	// waits: time has to pass.
	waits bool
	// restless: it begins in the middle of something that goes on.
	restless bool
	// deletes: the ExposedService is gone in the end.
	deletes bool
}

// String is its name.
func (wl *workload) String() string { return wl.name }

// stage is a world with an ExposedService, its operator, and a workload.
type stage struct {
	*world
	*workload
	exs      *v1alpha1.ExposedService
	shipper  *shipper
	source   *promServer
	operator *operator
	passed   time.Time
}

var exposeOnShared = &workload{
	name: "expose on a shared Gateway", exposes: true, shared: true,
	begin: func(s *stage) { s.create(s.exs) },
	over:  func(s *stage) error { return s.conditionIs(v1alpha1.ConditionReady, true) },
}

var failOver = &workload{name: "fail over", waits: true, begin: func(s *stage) { s.setReady(shop.Primary, false) }, over: serves("backup")}

var workloads = []*workload{
	{
		name: "expose", exposes: true,
		begin: func(s *stage) { s.create(s.exs) },
		over:  func(s *stage) error { return s.conditionIs(v1alpha1.ConditionReady, true) },
	},
	failOver,
	{
		name: "ramp", waits: true, begin: func(s *stage) { s.setReady(shop.Primary, true) }, over: serves("primary"),
		before: func(s *stage) {
			s.setReady(shop.Primary, false)
			s.until("the failover", func() error { return serves("backup")(s) })
		},
	},
	{name: "pin", waits: true, begin: func(s *stage) { s.pin("backup") }, over: serves("backup")},
	{
		name: "unpin", waits: true, begin: func(s *stage) { s.pin("") }, over: serves("primary"),
		before: func(s *stage) {
			s.pin("backup")
			s.until("the pin", func() error { return serves("backup")(s) })
		},
	},
	{
		name: "upgrade", over: upgraded("stands by", "spare"), waits: true,
		begin: func(s *stage) {
			s.edit(func(spec *v1alpha1.ExposedServiceSpec) {
				spec.Backends = []v1alpha1.Backend{shop.ServiceBackend("primary", shop.Primary), shop.ServiceBackend("spare", spareSvc), shop.ServiceBackend("backup", shop.Backup)}
				spec.Hostnames = append(spec.Hostnames, "new.example.com")
				spec.Traffic = &v1alpha1.Traffic{ConnectTimeout: ptr.To(v1alpha1.Duration("400ms"))}
			})
		},
	},
	{
		name: "other strategy", over: upgraded("mode", v1alpha1.FailoverWeights),
		begin: func(s *stage) {
			s.edit(func(spec *v1alpha1.ExposedServiceSpec) {
				spec.Failover = &v1alpha1.Failover{Strategy: ptr.To(v1alpha1.StrategyWeights)}
			})
		},
	},
	{
		name: "fewer backends", over: upgraded("stands by", ""),
		begin: func(s *stage) {
			s.edit(func(spec *v1alpha1.ExposedServiceSpec) { spec.Backends = spec.Backends[:1] })
		},
	},
	exposeOnShared,
	{
		name: "delete on a shared Gateway", shared: true, deletes: true,
		begin: func(s *stage) { s.delete(s.exs) }, over: isGone,
	},
	{
		name: "roll up", ships: true, over: func(s *stage) error { return s.shipper.promoted("app:2") },
		begin: func(s *stage) { s.shipper.ship("app:2") },
	},
	{
		name: "roll down", ships: true, over: func(s *stage) error { return s.shipper.rolledBack() },
		begin: func(s *stage) {
			s.shipper.counts.Spoil("app:2")
			s.shipper.ship("app:2")
		},
	},
	{
		name: "delete in a rollout", ships: true, deletes: true, restless: true, over: isGone,
		// The step does not end by itself.
		with: []func(*v1alpha1.ExposedService){func(exs *v1alpha1.ExposedService) {
			exs.Spec.Rollout.Steps[0].Approval = ptr.To(v1alpha1.ApprovalRequired)
		}},
		begin: func(s *stage) { s.delete(s.exs) },
		before: func(s *stage) {
			s.shipper.ship("app:2")
			s.eventually("the first step", func() error { return s.shipper.isAtStep(s.exs, 1) })
		},
	},
}

func isGone(s *stage) error {
	err := s.read(s.exs)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s is still there, held by %v", s.exs.Name, s.exs.Finalizers)
	}
	return err
}

// serves: a backend has all calls, and nothing is on its way.
func serves(backend string) func(*stage) error {
	return func(s *stage) error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		status := s.exs.Status
		if status.Traffic == nil || status.Traffic.Fallback == backend || status.Traffic.Settling != "" {
			// For some seconds after a switch.
			return fmt.Errorf("%s stands by beside itself: %+v", backend, status.Traffic)
		}
		if status.Active != backend || status.Failover == nil || status.Failover.State == nil || status.Failover.State.Ramp != nil {
			return fmt.Errorf("%s serves, %+v", status.Active, status.Failover)
		}
		if failedOver := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionFailedOver); failedOver != (backend != "primary") {
			return fmt.Errorf("%s serves, and FailedOver is %t", status.Active, failedOver)
		}
		return nil
	}
}

// upgraded: the new spec is served, and the status says something of it.
func upgraded(what string, value any) func(*stage) error {
	return func(s *stage) error {
		if err := s.conditionIs(v1alpha1.ConditionReady, true); err != nil {
			return err
		}
		if have := said(s.exs)[what]; have != value && fmt.Sprint(have) != fmt.Sprint(value) {
			return fmt.Errorf("%s is %v", what, have)
		}
		return s.conditionIs(v1alpha1.ConditionExposed, true)
	}
}

// conditionIs is nil when the condition is of the current generation and as wanted.
func (s *stage) conditionIs(conditionType string, want bool) error {
	if err := s.read(s.exs); err != nil {
		return err
	}
	c := meta.FindStatusCondition(s.exs.Status.Conditions, conditionType)
	if c == nil || c.ObservedGeneration != s.exs.Generation || (c.Status == metav1.ConditionTrue) != want {
		return fmt.Errorf("the condition %s is %+v", conditionType, c)
	}
	return nil
}

func (s *stage) edit(f func(*v1alpha1.ExposedServiceSpec)) {
	s.Helper()
	edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) { f(&exs.Spec) })
}

func (s *stage) pin(backend string) {
	s.Helper()
	s.edit(func(spec *v1alpha1.ExposedServiceSpec) { spec.Failover = &v1alpha1.Failover{Pin: backend} })
}

// newStage brings a world to where a workload begins.
func newStage(t *testing.T, wl *workload) *stage {
	t.Helper()
	w := newSilentWorld(t, newHastyClock())
	s := &stage{world: w, workload: wl}
	if wl.shared {
		w.shareGateway()
		w.startDataPlane(w.namespace, w.infra)
	} else {
		w.startDataPlane(w.namespace)
	}
	with := wl.with
	if wl.ships {
		s.shipper = newShipper(w)
		with = append([]func(*v1alpha1.ExposedService){shop.ShipQuickly}, with...)
	} else {
		w.withServices()
	}
	if wl.counts {
		s.source = w.startPrometheus()
		with = append(slices.Clone(with), s.source.countedBy)
	}
	s.exs = w.exposedService("greeter", with...)
	if wl.shared {
		s.exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: sharedGateway, Namespace: &w.infra}}
	}
	s.operator = s.startOperator()
	if wl.exposes {
		return s
	}
	s.create(s.exs)
	s.eventually("it becomes Ready", func() error { return s.conditionIs(v1alpha1.ConditionReady, true) })
	if wl.ships {
		s.eventually("the Deployment is held", func() error { return s.shipper.isHeld(s.exs) })
	}
	if wl.before != nil {
		wl.before(s)
	}
	s.rest(s.operator)
	return s
}

// rest waits until operators are at rest, if they come to rest before the workload is over.
func (s *stage) rest(operators ...*operator) {
	s.Helper()
	if !s.restless {
		s.untilQuiet(operators...)
	}
}

// restart has another operator take over.
func (s *stage) restart(with ...func(*transport)) {
	s.Helper()
	s.operator.stop()
	s.operator = s.startOperator(withTransport(with...))
}

// until lets the rest of the cluster go on until there is no error.
func (s *stage) until(what string, f func() error) {
	s.Helper()
	s.untilAt(lookEvery, what, f)
}

func (s *stage) untilAt(every time.Duration, what string, f func() error) {
	s.Helper()
	s.eventuallyAt(every, what, func() error {
		if s.waits && time.Since(s.passed) > quietTime/2 {
			s.passTime()
			s.passed = time.Now()
		}
		if s.deletes && isGone(s) == nil {
			s.collectGarbage()
		}
		return f()
	})
}

// finish waits until the state is as it is without a disturbance, and stays so.
func (s *stage) finish(want state) {
	s.Helper()
	s.untilAt(compareEvery, "the end of "+s.name, func() error { return s.stateIs(want) })
	s.untilQuiet(s.operator)
	if err := s.stateIs(want); err != nil {
		s.Errorf("it does not stay: %v", err)
	}
}
