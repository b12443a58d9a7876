package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Places knows where an Envoy has had each endpoint since it began to look: to Envoy an endpoint that changes its locality or priority is
// another one, with connections and statistics of its own.
type Places struct {
	stop func()
	done chan struct{}

	mu sync.Mutex
	// seen are the places of each address in each cluster.
	seen  map[string]map[string]bool
	looks int
	err   error
}

// lookInterval is how often Envoy is asked. Who is in two places between two looks was in one of them before and in the other one after.
const lookInterval = 100 * time.Millisecond

// FollowPlaces asks an Envoy of the Gateway of an ExposedService where its endpoints are, again and again until Moved.
func (c *Cluster) FollowPlaces(ctx context.Context, exs *v1alpha1.ExposedService) (*Places, error) {
	pod, err := c.EnvoyPod(ctx, exs)
	if err != nil {
		return nil, err
	}
	return c.FollowPlacesIn(ctx, pod, AdminPort)
}

// FollowPlacesIn is FollowPlaces for the Envoy in a pod, whose admin interface is at the port.
func (c *Cluster) FollowPlacesIn(ctx context.Context, pod *corev1.Pod, port int) (*Places, error) {
	from, end, err := c.FromPod(pod, port)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Places{stop: cancel, done: make(chan struct{}), seen: map[string]map[string]bool{}}
	go func() {
		defer close(p.done)
		defer end()
		tick := time.NewTicker(lookInterval)
		defer tick.Stop()
		for {
			body, err := from(ctx, "/clusters?format=json")
			if ctx.Err() != nil {
				return
			}
			p.note(body, err)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return p, nil
}

func (p *Places) note(body []byte, err error) {
	var answer clusters
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = fmt.Errorf("ask Envoy where its endpoints are: %w", err)
		return
	}
	p.looks++
	for _, cluster := range answer.Statuses {
		for _, host := range cluster.Hosts {
			key := cluster.Name + " " + host.Address.Socket.Address
			if p.seen[key] == nil {
				p.seen[key] = map[string]bool{}
			}
			p.seen[key][fmt.Sprintf("locality %s, priority %d", host.Locality.name(), host.Priority)] = true
		}
	}
}

// Moved ends it, and says which of the pods, by their addresses, have been in more than one place of a cluster. It is an error if fewer
// of them than that have been seen anywhere: then nothing is known.
func (p *Places) Moved(pods map[string]string, atLeast int) ([]string, error) {
	p.stop()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	var moved []string
	found := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(p.seen)) {
		cluster, address, _ := strings.Cut(key, " ")
		pod, ofThem := pods[address]
		if !ofThem || net.ParseIP(address) == nil {
			continue
		}
		found[pod] = true
		if places := slices.Sorted(maps.Keys(p.seen[key])); len(places) > 1 {
			moved = append(moved, fmt.Sprintf("%s (%s) in cluster %s: %s", pod, address, cluster, strings.Join(places, "; ")))
		}
	}
	if p.err != nil {
		return moved, p.err
	}
	if len(found) < atLeast {
		return moved, fmt.Errorf("%d looks at Envoy have seen %d of %d pods, want %d at least", p.looks, len(found), len(pods), atLeast)
	}
	return moved, nil
}

// FollowPlacesOfOwnEnvoy is FollowPlaces for the Envoy of LoadThroughOwnEnvoy.
func (c *Cluster) FollowPlacesOfOwnEnvoy(ctx context.Context, exs *v1alpha1.ExposedService) (*Places, error) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: ownEnvoyName(exs)}}
	return c.FollowPlacesIn(ctx, pod, OwnAdminPort)
}
