package xdsfeed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/xds/loadreport"
)

// pods answers for the API server.
type pods struct {
	client.Reader

	addresses map[string]string
	failure   error
	asked     int
}

func (p *pods) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if exs, ok := object.(*v1alpha1.ExposedService); ok {
		exs.Status.XDS = &v1alpha1.XDSStatus{}
		for _, name := range []string{"replica-a", "replica-b", "replica-c"} {
			exs.Status.XDS.Replicas = append(exs.Status.XDS.Replicas, v1alpha1.XDSReplica{Name: name})
		}
		return nil
	}
	p.asked++
	address, ok := p.addresses[key.Name]
	switch {
	case p.failure != nil:
		return p.failure
	case !ok:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, key.Name)
	}
	object.(*corev1.Pod).Status.PodIP = address
	return nil
}

func TestTheOtherReplicasAreFoundByTheirPods(t *testing.T) {
	world := &pods{addresses: map[string]string{"replica-a": "10.0.0.1", "replica-b": "10.0.0.2", "replica-c": "10.0.0.3"}}
	clock := testclock.NewFakePassiveClock(time.Unix(0, 0))
	replicas := NewReplicaAddresses(AddressesConfig{
		Cached: world, Pods: world, Namespace: "headgate-system", Self: "replica-a", Port: 18000, Clock: clock,
	})
	is := func(what string, asked int, want ...string) {
		t.Helper()
		world.asked = 0
		got, err := replicas.Of(t.Context(), "shop", "greeter")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !slices.EqualFunc(got, want, func(a netip.AddrPort, b string) bool { return a.String() == b }) || world.asked != asked {
			t.Errorf("%s: %v with %d questions, want %v with %d", what, got, world.asked, want, asked)
		}
	}
	is("this replica is not asked for", 2, "10.0.0.2:18000", "10.0.0.3:18000")
	delete(world.addresses, "replica-c")
	is("addresses are believed for a while", 0, "10.0.0.2:18000", "10.0.0.3:18000")
	clock.SetTime(clock.Now().Add(addressTTL))
	is("a pod that is gone has no calls", 2, "10.0.0.2:18000")
	is("and is not asked for all the time", 0, "10.0.0.2:18000")

	clock.SetTime(clock.Now().Add(addressTTL))
	world.failure = errors.New("the API server is down")
	if got, err := replicas.Of(t.Context(), "shop", "greeter"); !errors.Is(err, world.failure) {
		t.Errorf("%v, %v: not to know is an error", got, err)
	}
	world.failure = nil
	world.addresses["replica-b"] = ""
	if got, err := replicas.Of(t.Context(), "shop", "greeter"); err == nil {
		t.Errorf("%v: a pod without an address is an error", got)
	}
}

func TestWhatAReplicaSaysInTheWordsOfSignals(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		reading loadreport.Reading
		want    signals.ReplicaLoads
	}{
		{
			loadreport.Reading{
				Replica: "10.0.0.1:18000", Run: "a run", Heard: true, TellsInFlight: true, TellsGivenUp: true, GivenUp: map[string]uint64{"backup": 4},
				Backends: map[string]loadreport.Totals{"primary": {Issued: 9, Succeeded: 5, Failed: 1}, "backup": {Issued: 2, Succeeded: 2}},
				InFlight: map[string]uint64{"primary": 3},
			},
			signals.ReplicaLoads{
				Replica: "10.0.0.1:18000", Run: "a run", Heard: true, TellsInFlight: true, TellsGivenUp: true,
				Loads: map[string]signals.Load{"primary": {Issued: 9, Succeeded: 5, Failed: 1, InFlight: 3}, "backup": {Issued: 2, Succeeded: 2, GivenUp: 4}},
			},
		},
		{
			loadreport.Reading{Replica: "10.0.0.2:18000", Err: refused},
			signals.ReplicaLoads{Replica: "10.0.0.2:18000", Err: refused, Loads: map[string]signals.Load{}},
		},
	} {
		if diff := cmp.Diff(c.want, replicaLoads(c.reading), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestPortsOfAddresses(t *testing.T) {
	for address, want := range map[string]uint16{":18000": 18000, "[::]:1": 1, "0.0.0.0:65535": 65535, "18000": 0, ":65536": 0, ":xds": 0} {
		if got, err := PortOf(address); fmt.Sprint(got) != fmt.Sprint(want) && err == nil || (err != nil) != (want == 0) {
			t.Errorf("%s: %d, %v; want %d", address, got, err, want)
		}
	}
}
