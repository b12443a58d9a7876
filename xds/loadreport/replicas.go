package loadreport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ReplicasConfig is what is needed to ask all replicas. All fields but Timeout are required.
type ReplicasConfig struct {
	// Local is this replica.
	Local *Server
	// Credentials are those of [server.Server.ReplicaCredentials].
	Credentials credentials.TransportCredentials
	// Addresses are those of all replicas that clients of an ExposedService may be connected to, with or without
	// this one.
	Addresses func(ctx context.Context, namespace, name string) ([]netip.AddrPort, error)
	// Timeout bounds the answer of one replica. The default is 2 s.
	Timeout time.Duration
}

// Replicas asks all replicas. Its methods may be called concurrently.
type Replicas struct {
	config ReplicasConfig

	mu          sync.Mutex
	connections map[netip.AddrPort]*connection
}

// connection is to one replica.
type connection struct {
	*grpc.ClientConn

	used time.Time
}

// keepUnused is how long the connection to a replica is kept that nobody asks: it is gone, or was never needed again.
const keepUnused = 5 * time.Minute

// NewReplicas makes one. Close ends its connections.
func NewReplicas(config ReplicasConfig) *Replicas {
	if config.Timeout == 0 {
		config.Timeout = 2 * time.Second
	}
	return &Replicas{config: config, connections: map[netip.AddrPort]*connection{}}
}

// Read is what each replica says of an ExposedService. It is an error not to know which replicas there are;
// one that does not answer is in its Reading.
func (r *Replicas) Read(ctx context.Context, namespace, name string) ([]Reading, error) {
	addresses, err := r.config.Addresses(ctx, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("finding the replicas: %w", err)
	}
	connections, err := r.connect(addresses)
	if err != nil {
		return nil, err
	}
	answers := make([]Reading, len(connections))
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	var wait sync.WaitGroup
	for i, to := range connections {
		wait.Go(func() { answers[i] = ask(ctx, to, addresses[i], namespace+"/"+name) })
	}
	wait.Wait()
	local := r.config.Local.Read(namespace, name)
	readings := []Reading{local}
	for _, answer := range answers {
		if answer.Run != local.Run {
			readings = append(readings, answer)
		}
	}
	return readings, nil
}

// connect has a connection to each address, in their order.
func (r *Replicas) connect(addresses []netip.AddrPort) ([]*connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Local.config.Clock.Now()
	out := make([]*connection, 0, len(addresses))
	for _, address := range addresses {
		known := r.connections[address]
		if known == nil {
			made, err := grpc.NewClient("passthrough:///"+address.String(), grpc.WithTransportCredentials(r.config.Credentials))
			if err != nil {
				return nil, fmt.Errorf("replica %s: %w", address, err)
			}
			known = &connection{ClientConn: made}
			r.connections[address] = known
		}
		known.used = now
		out = append(out, known)
	}
	r.closeUnused(now.Add(-keepUnused))
	return out, nil
}

// closeUnused ends the connections that were last used before a time.
func (r *Replicas) closeUnused(before time.Time) {
	for address, known := range r.connections {
		if known.used.Before(before) {
			_ = known.Close() // nobody waits for it
			delete(r.connections, address)
		}
	}
}

// Close ends all connections. Calls under way fail.
func (r *Replicas) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for address, known := range r.connections {
		_ = known.Close() // nobody waits for it
		delete(r.connections, address)
	}
}

func ask(ctx context.Context, to *connection, address netip.AddrPort, cluster string) Reading {
	var answer loadstats.LoadStatsRequest
	err := to.Invoke(ctx, totalsMethod, wrapperspb.String(cluster), &answer)
	if err == nil && answer.GetNode().GetId() == "" {
		err = errors.New("the answer names no run")
	}
	if err != nil {
		return Reading{Replica: address.String(), Err: err}
	}
	return decode(address.String(), &answer)
}

func decode(replica string, answer *loadstats.LoadStatsRequest) Reading {
	reading := Reading{
		Replica: replica, Run: answer.GetNode().GetId(), Heard: len(answer.GetClusterStats()) > 0,
		Backends: map[string]Totals{}, InFlight: map[string]uint64{}, GivenUp: map[string]uint64{},
		TellsInFlight: slices.Contains(answer.GetNode().GetClientFeatures(), tellsInFlight),
		TellsGivenUp:  slices.Contains(answer.GetNode().GetClientFeatures(), tellsGivenUp),
	}
	for _, cluster := range answer.GetClusterStats() {
		for _, locality := range cluster.GetUpstreamLocalityStats() {
			backend := locality.GetLocality().GetZone()
			reading.Backends[backend] = totalsOf(locality)
			reading.InFlight[backend] = locality.GetTotalRequestsInProgress()
			for _, measured := range locality.GetLoadMetricStats() {
				if measured.GetMetricName() == givenUpCalls {
					reading.GivenUp[backend] = measured.GetNumRequestsFinishedWithMetric()
				}
			}
		}
	}
	return reading
}
