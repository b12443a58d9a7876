package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/server"
)

// servingXDS has an operator serve xDS on a loopback address.
func servingXDS(t testing.TB, p *xdsPKI, replica string) (operatorOption, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return func(config *Config, _ *transport) {
		config.XDS = &XDSConfig{Replica: replica, Server: server.Config{Listener: l, Files: p.files}}
	}, l.Addr().String()
}

// overXDS is an ExposedService without a Gateway.
func overXDS(port v1alpha1.PortNumber) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway = nil
		exs.Spec.XDS = &v1alpha1.XDS{Port: &port}
	}
}

func mainCluster(w *world) string { return w.namespace + "/greeter" }

func (w *world) setReady(service string, ready bool) {
	w.t.Helper()
	edit(w, w.slice(service), func(s *discoveryv1.EndpointSlice) {
		for i := range s.Endpoints {
			s.Endpoints[i].Conditions.Ready = ptr.To(ready)
		}
	})
}

func TestAnExposedServiceWithoutAGatewayIsServedOverXDS(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs)
	c := p.connect(w, address, "envoy-1", nil)

	const bothUp = "0 10.1.0.1 HEALTHY, 0 10.1.0.2 HEALTHY, 1 10.1.1.1 HEALTHY, 1 10.1.1.2 HEALTHY"
	c.until("everything is there", func() bool {
		return c.health(mainCluster(w)) == bothUp && slices.Contains(c.names(cache.Listeners), w.namespace+"/9090") &&
			slices.Contains(c.names(cache.Routes), w.namespace+"/9090")
	})
	w.untilReady(exs)
	w.eventually("the client is counted", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged, "1 connected"); err != nil {
			return err
		}
		if x := exs.Status.XDS; x == nil || x.Clients != 1 || x.Acknowledged != 1 || len(x.Replicas) != 1 || x.Replicas[0].Name != "replica-a" {
			return fmt.Errorf("status.xds is %+v", x)
		}
		// The client may have been told before there was a decision.
		if !xdsfeed.IsLive(exs) {
			return fmt.Errorf("the decision counts as not live: %+v of %+v", exs.Status.XDS, exs.Status.Traffic)
		}
		return nil
	})

	// The decision, and nothing else, says that the primary is left: one of its endpoints is still ready.
	edit(w, exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Failover = &v1alpha1.Failover{Pin: "backup"} })
	c.until("the decision is followed", func() bool {
		return c.health(mainCluster(w)) == "0 10.1.0.1 DEGRADED, 0 10.1.0.2 DEGRADED, 1 10.1.1.1 HEALTHY, 1 10.1.1.2 HEALTHY"
	})
	edit(w, exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Failover = nil })

	// A client that leaves is counted no longer.
	c.end()
	w.eventually("nobody is connected", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionUnknown, v1alpha1.ReasonNoClients)
	})
}

func TestADeadPrimaryIsLeftOverXDS(t *testing.T) {
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs)
	c := p.connect(w, address, "envoy-1", nil)
	c.until("the primary serves", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1 HEALTHY") })
	w.untilReady(exs)
	w.setReady("primary-svc", false)
	w.eventually("the backup serves", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionFailedOver, metav1.ConditionTrue, "BackupServes")
	})
	w.setReady("primary-svc", true)
	// It is ready again, and held back all the same, until it has been healthy for long enough.
	c.until("the primary is held back", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1 DEGRADED") })
	if exs.Status.Active != "backup" {
		t.Errorf("%q serves", exs.Status.Active)
	}
}

func TestEndpointsArriveWithinMilliseconds(t *testing.T) {
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	o := w.startOperator(option)
	w.create(w.exposedService("greeter", overXDS(9090)))
	c := p.connect(w, address, "envoy-1", nil)
	c.until("the primary is there", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1") })
	w.untilQuiet(o)

	const changes = 100
	took := make([]time.Duration, 0, changes)
	slice := w.slice("primary-svc")
	for i := range changes {
		address := fmt.Sprintf("10.2.%d.%d", i/250, i%250+1)
		if err := w.read(slice); err != nil {
			t.Fatal(err)
		}
		slice.Endpoints[0].Addresses = []string{address}
		start := time.Now()
		if err := w.kube.Update(t.Context(), slice); err != nil {
			t.Fatal(err)
		}
		c.until("the change is there", func() bool { return strings.Contains(c.health(mainCluster(w)), address) })
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("from the write of an EndpointSlice to the client, with the write: p50 %s, p99 %s, longest %s",
		took[changes/2], took[changes*99/100-1], took[changes-1])
	// It takes milliseconds; a second would be a wait for something that did not come.
	if median := took[changes/2]; median > time.Second {
		t.Errorf("half of the changes took longer than %s", median)
	}
}

func TestARefusalIsSaidInTheClientsWordsAndHeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs)
	refuse := func(typ cache.Type, _ map[string]proto.Message) string {
		if typ == cache.Clusters {
			return "I know no such cluster"
		}
		return ""
	}
	w.eventually("it is served", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed)
	})
	c := p.connect(w, address, "envoy-1", refuse)
	w.eventually("the refusal is said", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionFalse, v1alpha1.ReasonRefusedByClient,
			"I know no such cluster", "envoy-1", "CDS", "replica-a")
	})
	w.eventually("an event has it", func() error {
		if notes := w.eventNotes(exs, string(v1alpha1.ReasonRefusedByClient)); len(notes) == 0 || !strings.Contains(notes[0], "I know no such cluster") {
			return fmt.Errorf("notes are %q", notes)
		}
		return nil
	})
	if err := w.conditionIs(exs, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
		t.Errorf("a client's refusal is not the end of the service for others: %v", err)
	}
	// What was refused is not sent again before it changes.
	c.refuseFrom(nil)
	edit(w, exs, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Traffic = &v1alpha1.Traffic{HealthCheck: &v1alpha1.HealthCheck{Mode: ptr.To(v1alpha1.HealthCheckAlways)}}
	})
	w.eventually("it has healed", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged)
	})
}

func TestTwoReplicasServeTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	optionA, addressA := servingXDS(t, p, "replica-a")
	a := w.startOperator(optionA)
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs, w.exposedService("other", overXDS(9090)))
	w.untilReady(exs)
	w.untilQuiet(a)
	// The second one does not lead: it serves, and decides nothing.
	optionB, addressB := servingXDS(t, p, "replica-b")
	b := w.startOperator(optionB, standingBy)
	ca, cb := p.connect(w, addressA, "envoy-a", nil), p.connect(w, addressB, "envoy-b", nil)
	same := func() bool {
		key := client.ObjectKeyFromObject(exs)
		x, y := a.XDS.Served(key), b.XDS.Served(key)
		return x.Status.Version != "" && x.Status.Version == y.Status.Version && x.Revision == y.Revision
	}
	for _, c := range []*xdsClient{ca, cb} {
		c.until("both have it", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.1.2") })
	}
	w.eventually("both serve the same", func() error {
		if !same() {
			return errors.New("they differ")
		}
		return nil
	})
	w.setReady("primary-svc", false)
	for _, c := range []*xdsClient{ca, cb} {
		c.until("both follow", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1 UNHEALTHY") })
	}
	w.eventually("both serve the same again, and both are counted", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if x := exs.Status.XDS; !same() || x == nil || x.Clients != 2 || x.Acknowledged != 2 || !xdsfeed.IsLive(exs) {
			return fmt.Errorf("same %t, status.xds %+v", same(), x)
		}
		return nil
	})
	if leader, other := a.runs.Sum(), b.runs.Sum(); leader == 0 || other != 0 {
		t.Errorf("runs of the decider: %v on the leader, %v on the other", leader, other)
	}

	// A replica that ends takes what it said with it.
	b.stop()
	w.eventually("the second replica's report is gone", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if x := exs.Status.XDS; x == nil || len(x.Replicas) != 1 || x.Replicas[0].Name != "replica-a" || x.Clients != 1 {
			return fmt.Errorf("status.xds is %+v", x)
		}
		return nil
	})
}

func TestTakingTheGatewayAwayRemovesItsObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends().withDataPlane()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	edit(w, exs, overXDS(9090))
	c := p.connect(w, address, "envoy-1", nil)
	c.until("it is served over xDS", func() bool { return strings.Contains(c.health(mainCluster(w)), "10.1.0.1 HEALTHY") })
	w.eventually("what was made for the Gateway is gone", func() error {
		var left []string
		for _, k := range kube.MadeKinds() {
			list := k.NewList()
			if err := w.kube.List(t.Context(), list, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
				return err
			}
			err := meta.EachListItem(list, func(item runtime.Object) error {
				left = append(left, k.GVK.Kind+" "+item.(client.Object).GetName())
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
	w.untilReady(exs)
}

// Without a Gateway, two with the same host do not claim the same of one, nor of a Gateway that has the name.
func TestWithoutAGatewayThereIsNoRouteConflictOnOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends().withDataPlane()
	p := newXDSPKI(t)
	option, _ := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	first := w.exposedService("greeter", overXDS(9090), hosts("a.example.com"))
	w.create(first)
	w.untilReady(first)
	// On the Gateway of somebody else that has the name of the first one.
	w.create(w.sharedGateway(w.namespace, "greeter"))
	second := w.exposedService("second", on(w.namespace, "greeter", ""), hosts("a.example.com"))
	w.create(second)
	w.untilReady(second)
	// Over xDS there is a conflict of its own, and the younger one loses it.
	third := w.exposedService("third", overXDS(9090), hosts("a.example.com"))
	w.create(third)
	w.untilNotAccepted(third, v1alpha1.ReasonRouteConflict, "greeter", "a.example.com")
	w.delete(first)
	w.untilReady(third)
	if gateways := w.gatewaysOf(third); len(gateways) > 0 {
		t.Errorf("it has Gateways: %v", gateways)
	}
}

func TestWithoutItsServerXDSIsRefused(t *testing.T) {
	w := newWorld(t).withBackends()
	w.startOperator()
	exs := w.exposedService("greeter", overXDS(9090))
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonXDSDisabled, "xds.enabled=true")
	w.eventually("and nobody is served", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionFalse, v1alpha1.ReasonXDSDisabled)
	})
}

func TestSettledClientsCostNoWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	o := w.startOperator(option)
	const services = 100
	for i := range services {
		w.create(w.exposedService(fmt.Sprintf("greeter-%d", i), overXDS(v1alpha1.PortNumber(9000+i%10))))
	}
	c := p.connect(w, address, "envoy-1", nil)
	c.until("all are there", func() bool { return len(c.names(cache.Clusters)) == services })
	// A hundred of them are a few hundred writes at first, one after the other.
	err := apiserver.Poll(t.Context(), 5*patience, func() error {
		var list v1alpha1.ExposedServiceList
		if err := w.kube.List(t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		for i := range list.Items {
			exs := &list.Items[i]
			if x := exs.Status.XDS; x == nil || x.Acknowledged != 1 || exs.Status.Traffic == nil || !xdsfeed.IsLive(exs) {
				return fmt.Errorf("%s: %+v", exs.Name, x)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("not all are acknowledged: %v", err)
	}
	w.untilQuiet(o)
	before := len(o.transport.written())
	// Longer than the reports' own pace, and than the retry of a failed one.
	quiet, cancel := context.WithTimeout(t.Context(), 2*xdsfeed.ReportInterval)
	defer cancel()
	<-quiet.Done()
	if writes := o.transport.written()[before:]; len(writes) > 0 {
		t.Errorf("%d writes although nothing happened, the first: %s", len(writes), writes[0])
	}

	// Endpoints that come and go are acknowledged, and that is not worth a write either; what people read of
	// them is.
	edit(w, w.slice("backup-svc"), func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"10.1.1.77"} })
	c.until("all have the new endpoint", func() bool {
		for i := range services {
			if !strings.Contains(c.health(fmt.Sprintf("%s/greeter-%d", w.namespace, i)), "10.1.1.77") {
				return false
			}
		}
		return true
	})
	again, cancel := context.WithTimeout(t.Context(), xdsfeed.ReportDelay+xdsfeed.ReportInterval)
	defer cancel()
	<-again.Done()
	for _, write := range o.transport.written()[before:] {
		t.Errorf("an endpoint that took another address was worth a write: %s", write)
	}
}

func (w *world) gatewaysOf(exs *v1alpha1.ExposedService) []string {
	w.t.Helper()
	var list gwapiv1.GatewayList
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(exs.Namespace), client.MatchingLabels{v1alpha1.LabelOwnerName: exs.Name}); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, gw := range list.Items {
		out = append(out, gw.Name)
	}
	return out
}

// TestAHostStaysWithWhoHasIt has an older ExposedService ask for the host of a younger one.
func TestAHostStaysWithWhoHasIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, _ := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	older := w.exposedService("older", overXDS(9090), hosts("mine.example.com"))
	w.create(older)
	w.untilReady(older)
	younger := w.exposedService("younger", overXDS(9090), hosts("a.example.com"))
	w.create(younger)
	w.untilReady(younger)
	has := func(exs *v1alpha1.ExposedService, want ...string) {
		t.Helper()
		w.eventually(fmt.Sprintf("%s has %v", exs.Name, want), func() error {
			if err := w.read(exs); err != nil {
				return err
			}
			if exs.Status.XDS == nil || !slices.Equal(exs.Status.XDS.Hosts, want) || exs.Status.XDS.Port != 9090 {
				return fmt.Errorf("status.xds is %+v", exs.Status.XDS)
			}
			return nil
		})
	}
	has(younger, "a.example.com")
	edit(w, older, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Hostnames = []v1alpha1.Hostname{"mine.example.com", "a.example.com"}
	})
	w.eventually("the older one is told", func() error {
		return w.conditionIs(older, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonRouteConflict)
	})
	w.eventually("and goes on with its own", func() error {
		return w.conditionIs(older, v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed)
	})
	has(older, "mine.example.com")
	has(younger, "a.example.com")
	w.untilReady(younger)
	w.delete(younger)
	has(older, "mine.example.com", "a.example.com")
}
