package xdsfeed

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/xds/loadreport"
)

// Loads puts what the replicas have been told by clients into the words of signals.
type Loads struct{ Replicas *loadreport.Replicas }

var _ signals.LoadReader = Loads{}

// Loads implements signals.LoadReader.
func (l Loads) Loads(ctx context.Context, namespace, name string) ([]signals.ReplicaLoads, error) {
	readings, err := l.Replicas.Read(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	out := make([]signals.ReplicaLoads, 0, len(readings))
	for _, reading := range readings {
		out = append(out, replicaLoads(reading))
	}
	return out, nil
}

func replicaLoads(reading loadreport.Reading) signals.ReplicaLoads {
	loads := make(map[string]signals.Load, len(reading.Backends))
	for backend, totals := range reading.Backends {
		loads[backend] = signals.Load{
			Succeeded: totals.Succeeded, Failed: totals.Failed, Issued: totals.Issued, InFlight: reading.InFlight[backend],
			GivenUp: reading.GivenUp[backend],
		}
	}
	return signals.ReplicaLoads{
		Replica: reading.Replica, Run: reading.Run, Heard: reading.Heard, Loads: loads, Err: reading.Err,
		TellsInFlight: reading.TellsInFlight, TellsGivenUp: reading.TellsGivenUp,
	}
}

// addressTTL is how long the address of a pod is believed: a pod that is gone does not answer until then, and its
// calls are unknown rather than none.
const addressTTL = 10 * time.Second

// ReplicaAddresses finds the other replicas that have clients of an ExposedService: status.xds names them, and
// their pods have the addresses.
type ReplicaAddresses struct {
	AddressesConfig

	mu    sync.Mutex
	known map[string]podAddress
}

// AddressesConfig is what ReplicaAddresses are made with.
type AddressesConfig struct {
	// Cached reads ExposedServices, Pods reads pods past the cache.
	Cached, Pods client.Reader
	// Namespace is that of the replicas' pods. Empty: no other replica can be found, and there is to be none.
	Namespace string
	// Self is the name of this replica, and Port the one that all of them listen on.
	Self  string
	Port  uint16
	Clock clock.PassiveClock
}

// NewReplicaAddresses knows of no replica yet.
func NewReplicaAddresses(config AddressesConfig) *ReplicaAddresses {
	return &ReplicaAddresses{AddressesConfig: config, known: map[string]podAddress{}}
}

type podAddress struct {
	// ip is invalid when there is no such pod.
	ip   netip.Addr
	seen time.Time
}

// Of are the addresses of the replicas that have clients of an ExposedService, without this one.
func (a *ReplicaAddresses) Of(ctx context.Context, namespace, name string) ([]netip.AddrPort, error) {
	var exs v1alpha1.ExposedService
	if err := a.Cached.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &exs); err != nil {
		return nil, fmt.Errorf("read ExposedService %s/%s: %w", namespace, name, err)
	}
	if exs.Status.XDS == nil || a.Namespace == "" {
		return nil, nil
	}
	var out []netip.AddrPort
	for _, replica := range exs.Status.XDS.Replicas {
		if replica.Name == a.Self {
			continue
		}
		ip, err := a.address(ctx, replica.Name)
		if err != nil {
			return nil, err
		}
		if ip.IsValid() {
			out = append(out, netip.AddrPortFrom(ip, a.Port))
		}
	}
	return out, nil
}

// address is that of a pod; invalid: it is gone. Whoever asks meanwhile waits: the answer is the same for all
// ExposedServices.
func (a *ReplicaAddresses) address(ctx context.Context, name string) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock.Now()
	if known, ok := a.known[name]; ok && now.Sub(known.seen) < addressTTL {
		return known.ip, nil
	}
	a.forget(now)
	var pod corev1.Pod
	err := a.Pods.Get(ctx, types.NamespacedName{Namespace: a.Namespace, Name: name}, &pod)
	switch {
	case apierrors.IsNotFound(err):
		a.known[name] = podAddress{seen: now}
		return netip.Addr{}, nil
	case err != nil:
		return netip.Addr{}, fmt.Errorf("read Pod %s/%s: %w", a.Namespace, name, err)
	}
	ip, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("Pod %s/%s has no address: %w", a.Namespace, name, err)
	}
	a.known[name] = podAddress{ip: ip, seen: now}
	return ip, nil
}

func (a *ReplicaAddresses) forget(now time.Time) {
	for name, known := range a.known {
		if now.Sub(known.seen) >= addressTTL {
			delete(a.known, name)
		}
	}
}

// PortOf is the port of host:port, or :port.
func PortOf(address string) (uint16, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err
}
