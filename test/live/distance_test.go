package live

import (
	"net/netip"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// Clients far away, and one behind a narrow wire, while endpoints change a hundred times a second, and other services are deleted and
// made again. Two round trips after the last change each client has what there is: the answer to what it was sent before has one way, what
// is new has another, and its answer a third.
func TestClientsThatAreFarAwayFollow(t *testing.T) {
	const every = time.Second / 100
	lasting := time.Minute
	if testing.Short() {
		lasting = 4 * time.Second
	}
	const inGRPC = "without a proxy"
	clients := map[string]client{
		"through Envoy": throughEnvoy, "through Envoy, state of the world": throughEnvoyInSotW, inGRPC: withoutProxy,
	}
	for name, connect := range clients {
		for _, over := range []wire{{delay: time.Millisecond / 2}, {delay: 5 * time.Millisecond}, {delay: 50 * time.Millisecond}, {time.Millisecond, 1_000_000}} {
			t.Run(name+", "+over.String(), func(t *testing.T) {
				t.Parallel()
				s := set(t, connect, setting{wire: over, whole: name != inGRPC})
				all := s.pods[primary]
				other := s.other()
				tick := time.NewTicker(every)
				defer tick.Stop()
				// The last of an odd number leaves an endpoint that is not ready, so that there is a change after it.
				begun, changes, there := time.Now(), int(lasting/every)|1, true
				s.expose(other)
				for i := range changes {
					<-tick.C
					p := all[i/2%len(all)]
					p.unready = i%2 == 0
					s.publish()
					if i%7 == 0 {
						if there = !there; there {
							s.expose(other)
						} else {
							s.hide(other)
						}
					}
				}
				took := time.Since(begun)
				for _, p := range all {
					p.unready = false
				}
				s.publish()
				s.expose(other)
				last := time.Now()
				s.untilAcknowledged()
				s.until("the client has the service that was made again", func() bool { return s.follows(other) })
				behind := time.Since(last)
				roundTrips := 2 * 2 * over.delay
				s.Logf("%d changes in %.1f s; %v after the last, at two round trips of %v, the client had all", changes, took.Seconds(), behind, 2*over.delay)
				if behind > roundTrips+late {
					s.Errorf("behind by %v, want at most %v", behind, roundTrips+late)
				}
				s.crew.Await("calls", steady, by(primary))
				s.nothingFailed()
			})
		}
	}
}

// other is an ExposedService in the same namespace.
func (s *stage) other() resource.Exposure {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.exs.Namespace, Name: "other"},
		Spec:       v1alpha1.ExposedServiceSpec{XDS: &v1alpha1.XDS{}, Backends: []v1alpha1.Backend{{Name: primary}}},
	}
	return resource.Exposure{Service: exs, Backends: map[string]resource.Backend{primary: {Endpoints: []resource.Endpoint{{
		Addresses: []netip.AddrPort{s.pods[primary][0].address}, Ready: true, Serving: true,
	}}}}}
}

func (s *stage) expose(e resource.Exposure) {
	for _, replica := range s.replicas {
		controlplane.Put(s.T, replica.Cache, e)
	}
}

func (s *stage) hide(e resource.Exposure) {
	for _, replica := range s.replicas {
		replica.Cache.Remove(ownerOf(e))
	}
}

// follows says whether who asks for everything has all of an ExposedService. Who asks by name has nothing of it.
func (s *stage) follows(e resource.Exposure) bool {
	for _, replica := range s.replicas {
		if status := replica.Cache.Status(ownerOf(e)); !status.AllAcked() || s.exs.Spec.XDS.Port != nil && status.Clients == 0 {
			return false
		}
	}
	return true
}

func ownerOf(e resource.Exposure) cache.Owner {
	return cache.Owner{Namespace: e.Service.Namespace, Name: e.Service.Name}
}
