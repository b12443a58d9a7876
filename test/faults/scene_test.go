package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// serviceFacts are what is known of a Service.
type serviceFacts struct {
	there bool
	// port is the name of its port.
	port string
	// ready are its endpoints.
	ready []bool
}

// scene is a world in which a plan is played, and the facts as they are now.
type scene struct {
	*world
	operator *operator
	services map[string]*serviceFacts
	// specs are those that were put last.
	specs map[string]specChoice
	// classThere: the GatewayClass is.
	classThere bool
	// made counts what was made for others.
	made int
}

// newScene has the facts, and no ExposedService.
func newScene(w *world, o *operator, facts map[string]*serviceFacts) *scene {
	w.Helper()
	s := &scene{world: w, operator: o, services: facts, specs: map[string]specChoice{}, classThere: true}
	w.create(shop.SharedGateway(w.namespace, sharedGateway, w.class))
	for name, f := range facts {
		if f.there {
			w.create(s.serviceOf(name))
		}
		w.create(s.sliceOf(name))
	}
	return s
}

// startFacts are those of a sequence.
func startFacts() map[string]*serviceFacts {
	out := map[string]*serviceFacts{}
	for _, name := range services {
		out[name] = &serviceFacts{there: true, port: "grpc", ready: []bool{true, true}}
	}
	return out
}

func (s *scene) serviceOf(name string) *corev1.Service {
	service := shop.Service(s.namespace, name)
	service.Spec.Ports[0].Name = s.services[name].port
	return service
}

func (s *scene) sliceOf(name string) *discoveryv1.EndpointSlice {
	var addresses []string
	for i := range s.services[name].ready {
		addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", len(name), i+1))
	}
	slice := s.slice(name, addresses...)
	slice.Ports[0].Name = ptr.To(s.services[name].port)
	for i, ready := range s.services[name].ready {
		slice.Endpoints[i].Conditions.Ready = ptr.To(ready)
	}
	return slice
}

// writeSlice brings an EndpointSlice up to date.
func (s *scene) writeSlice(name string) {
	s.Helper()
	want := s.sliceOf(name)
	edit(s.world, s.slice(name), func(slice *discoveryv1.EndpointSlice) { slice.Endpoints, slice.Ports = want.Endpoints, want.Ports })
}

// do does one thing.
func (s *scene) do(o operation) {
	s.Helper()
	facts := s.services[o.name]
	switch o.action {
	case actPut:
		s.specs[o.name] = s.specs[o.name].changed(o.part, o.spec)
		s.put(o.name, s.specs[o.name])
	case actDelete:
		s.delete(s.exposed(o.name))
		s.collectGarbage()
	case actPin:
		s.pinTo(o.name, o.text)
	case actEndpoints:
		facts.ready = o.ready
		s.writeSlice(o.name)
	case actServiceGone:
		if facts.there {
			s.delete(shop.Service(s.namespace, o.name))
			facts.there = false
		}
	case actServiceBack:
		s.bringBack(o.name)
	case actRenamePort:
		facts.port = o.text
		if facts.there {
			edit(s.world, shop.Service(s.namespace, o.name), func(service *corev1.Service) { service.Spec.Ports[0].Name = o.text })
		}
		s.writeSlice(o.name)
	case actClassGone:
		s.delete(s.gatewayClass())
		s.classThere = false
	case actClassBack:
		s.bringClassBack()
	case actForeign:
		s.makeForeign()
	case actTime:
		s.clock.jump(time.Minute)
		s.poke()
	case actRest:
		s.untilQuietFor(50*time.Millisecond, s.operator)
	}
}

func (s *scene) exposed(name string) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{}
	exs.Namespace, exs.Name = s.namespace, name
	return exs
}

// put creates an ExposedService, or changes its spec.
func (s *scene) put(name string, spec specChoice) {
	s.Helper()
	exs := s.exposed(name)
	s.eventually("put "+name, func() error {
		var err error
		switch err = s.read(exs); {
		case apierrors.IsNotFound(err):
			exs = s.exposed(name)
			exs.Spec = spec.of(s.world, name)
			err = s.kube.Create(context.Background(), exs)
		case err == nil:
			exs.Spec = spec.of(s.world, name)
			err = s.kube.Update(context.Background(), exs)
		}
		if apierrors.IsInvalid(err) && spec.Flaw.isRefused() {
			done.add("generated: specs that the API server refuses", 1)
			return nil
		}
		if err == nil && spec.Flaw.isRefused() {
			s.Errorf("a spec that %s was taken", spec.Flaw)
		}
		return err
	})
}

// pinTo pins a backend, if there is such an ExposedService with such a backend.
func (s *scene) pinTo(name, backend string) {
	s.Helper()
	s.eventually("pin "+backend, func() error {
		exs := s.exposed(name)
		if err := s.read(exs); apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return err
		}
		exs.Spec.Failover.Pin = backend
		err := s.kube.Update(context.Background(), exs)
		if apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

func (s *scene) bringBack(name string) {
	s.Helper()
	if !s.services[name].there {
		s.create(s.serviceOf(name))
		s.services[name].there = true
	}
}

func (s *scene) bringClassBack() {
	s.Helper()
	if !s.classThere {
		s.create(s.gatewayClass())
		s.classThere = true
	}
}

// settle lets so much time pass that nothing hangs on what was before: holds are over, ramps have risen, and no switch was in the
// last hour. It ends when nothing moves any more.
func (s *scene) settle() {
	s.Helper()
	last := ""
	s.clock.jump(2 * time.Hour)
	s.eventually("nothing moves any more", func() error {
		s.clock.jump(2 * time.Minute)
		s.poke()
		s.untilQuietFor(quietTime/2, s.operator)
		var list v1alpha1.ExposedServiceList
		if err := s.kube.List(context.Background(), &list, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		now, moves := "", false
		for _, exs := range list.Items {
			state := ptr.Deref(exs.Status.Failover, v1alpha1.FailoverStatus{}).State
			moves = moves || state == nil || state.Ramp != nil
			now += fmt.Sprintf("%s: %s serves, %+v\n", exs.Name, exs.Status.Active, exs.Status.Traffic)
		}
		before := last
		if last = now; moves || now != before {
			return errors.New(now)
		}
		return nil
	})
}
