package loadreport_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"google.golang.org/grpc/credentials"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/loadreport"
)

// twoReplicas share a certificate and what they serve.
func twoReplicas(t *testing.T) (first, second *replica) {
	t.Helper()
	authority := pki.NewAuthority(t)
	c := controlplane.Config{Authority: authority, Certificate: authority.Server(), Cache: controlplane.NewCache()}
	exposeGreeter(t, c.Cache)
	return startReplica(t, c), startReplica(t, c)
}

func replicasOf(t *testing.T, local *replica, creds credentials.TransportCredentials, all ...*replica) *loadreport.Replicas {
	t.Helper()
	var addresses []netip.AddrPort
	for _, r := range all {
		addresses = append(addresses, netip.MustParseAddrPort(r.Address))
	}
	replicas := loadreport.NewReplicas(loadreport.ReplicasConfig{
		Local: local.loads, Credentials: creds,
		Addresses: func(context.Context, string, string) ([]netip.AddrPort, error) { return addresses, nil },
	})
	t.Cleanup(replicas.Close)
	return replicas
}

func TestEachReplicaSaysWhatItsClientsReport(t *testing.T) {
	first, second := twoReplicas(t)
	seen := map[*replica]loadreport.Totals{
		first:  callAll(t, controlplane.Proxyless(t, bootstrapOf(t, first)), mixed(100)...),
		second: callAll(t, controlplane.Proxyless(t, bootstrapOf(t, second)), mixed(250)...),
	}
	for r, totals := range seen {
		r.await("the calls", func(reading loadreport.Reading) bool { return reading.Heard && reading.Backends["primary"] == totals })
	}
	readings, err := replicasOf(t, first, first.ReplicaCredentials(), first, second).Read(t.Context(), "shop", "greeter")
	if err != nil {
		t.Fatal(err)
	}
	if len(readings) != 2 {
		t.Fatalf("%d readings of two replicas, which each know themselves: %+v", len(readings), readings)
	}
	for i, r := range []*replica{first, second} {
		reading := readings[i]
		if reading.Err != nil || !reading.Heard || reading.Backends["primary"] != seen[r] || reading.Run != r.loads.Read("shop", "greeter").Run {
			t.Errorf("replica %d: %+v, its clients saw %+v", i, reading, seen[r])
		}
	}
}

func TestAReplicaThatIsAwaySaysSo(t *testing.T) {
	first, second := twoReplicas(t)
	replicas := replicasOf(t, first, first.ReplicaCredentials(), second)
	second.Stop()
	readings, err := replicas.Read(t.Context(), "shop", "greeter")
	if err != nil || len(readings) != 2 || readings[0].Err != nil || readings[1].Err == nil || readings[1].Replica != second.Address {
		t.Errorf("%+v, %v: want an error of the second", readings, err)
	}
}

func TestAServerWithAnotherKeyIsNoReplica(t *testing.T) {
	first, _ := twoReplicas(t)
	// It has a certificate of the same authority, for the same names.
	impostor := startReplica(t, controlplane.Config{Authority: first.Authority})
	readings, err := replicasOf(t, first, first.ReplicaCredentials(), impostor).Read(t.Context(), "shop", "greeter")
	if err != nil || len(readings) != 2 || readings[1].Err == nil {
		t.Errorf("%+v, %v: it should not be believed", readings, err)
	}
	// Nor does a replica tell it anything.
	readings, err = replicasOf(t, impostor, credentials.NewTLS(first.Authority.TLS(first.Authority.Server())), first).Read(t.Context(), "shop", "greeter")
	if err != nil || len(readings) != 2 || readings[1].Err == nil {
		t.Errorf("%+v, %v: it should not be told", readings, err)
	}
}

func TestNotToKnowTheReplicasIsAnError(t *testing.T) {
	first, _ := twoReplicas(t)
	unknown := errors.New("no cache yet")
	replicas := loadreport.NewReplicas(loadreport.ReplicasConfig{
		Local: first.loads, Credentials: first.ReplicaCredentials(),
		Addresses: func(context.Context, string, string) ([]netip.AddrPort, error) { return nil, unknown },
	})
	t.Cleanup(replicas.Close)
	if _, err := replicas.Read(t.Context(), "shop", "greeter"); !errors.Is(err, unknown) {
		t.Errorf("%v", err)
	}
}
