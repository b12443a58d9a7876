package facts

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list

const (
	// fewPods are read one by one; more are listed at once.
	fewPods = 3
	// podsAtOnce bounds how many Services' pods are read at the same time.
	podsAtOnce = 4
	// podsTimeout bounds one reading.
	podsTimeout = 10 * time.Second
	// Pods that cannot be read are tried again after firstPodsRetry, then each time after twice as long, up to
	// lastPodsRetry.
	firstPodsRetry = time.Second
	lastPodsRetry  = time.Minute
)

// Probes finds out which gRPC readiness probes the pods of a Service declare, beside those who ask, and wakes
// them when it is known. The probes of a pod never change, so each pod is read once; pods are not watched,
// because a cluster has many more of them than matter here. It runs on every replica.
type Probes struct {
	reader client.Reader
	queue  queue.Queue[types.NamespacedName]

	mu sync.Mutex
	// known are the Services that somebody asks about, and asked which those of each are.
	known map[types.NamespacedName]*servicePods
	asked map[user]map[types.NamespacedName]bool
}

// servicePods is what is known of the pods of a Service.
type servicePods struct {
	users map[user]bool
	// selector is that of the Service, as it was when it was asked about last.
	selector map[string]string
	probes   podProbes
	// unknown are the pods that are to be read.
	unknown map[types.UID]types.NamespacedName
	// answered: some were read, or could not be.
	answered bool
	// err is why the last reading failed; nil: it did not.
	err error
}

// podProbes are the gRPC readiness probes of pods: by UID, then by port, the service asked for.
// A pod that could not be found has none recorded (nil).
type podProbes map[types.UID]map[int32]string

// probeAnswer is what is known of the probes of a Service's pods.
type probeAnswer struct {
	probe gateway.Probe
	// awaited: the first reading has not ended.
	awaited bool
	err     error
}

// NewProbes knows of no pod yet. Start reads them.
func NewProbes(reader client.Reader, clock clock.WithTicker) *Probes {
	return &Probes{
		reader: reader, known: map[types.NamespacedName]*servicePods{}, asked: map[user]map[types.NamespacedName]bool{},
		queue: queue.New[types.NamespacedName](firstPodsRetry, lastPodsRetry, clock),
	}
}

// NeedLeaderElection is false: every replica serves clients of its own.
func (p *Probes) NeedLeaderElection() bool { return false }

// Start reads pods until the context ends.
func (p *Probes) Start(ctx context.Context) error {
	return queue.Serve(ctx, p.queue, podsAtOnce, p.readPods)
}

// probe looks at the pods behind a port of a Service, from memory, and has those read that are not known.
func (p *Probes) probe(u user, service *corev1.Service, slices []discoveryv1.EndpointSlice, port int32) probeAnswer {
	endpoints, others := podEndpoints(service, slices, port)
	key := client.ObjectKeyFromObject(service)
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.follow(u, key)
	have.selector = service.Spec.Selector
	now := podProbes{}
	have.unknown = map[types.UID]types.NamespacedName{}
	for _, endpoint := range endpoints {
		if probes, ok := have.probes[endpoint.uid]; ok {
			now[endpoint.uid] = probes
		} else {
			have.unknown[endpoint.uid] = endpoint.pod
		}
	}
	have.probes = now
	if len(have.unknown) > 0 && have.err == nil {
		p.queue.Add(key)
	}
	switch {
	case len(endpoints) == 0:
		return probeAnswer{}
	case len(have.unknown) > 0 && have.err != nil:
		return probeAnswer{err: have.err}
	case len(have.unknown) > 0 && len(now) == 0 && !have.answered:
		return probeAnswer{awaited: true}
	case others:
		return probeAnswer{probe: gateway.Probe{State: gateway.ProbeNone}}
	}
	return probeAnswer{probe: agree(endpoints, now)}
}

// follow notes that somebody asks about a Service. The lock is held.
func (p *Probes) follow(u user, key types.NamespacedName) *servicePods {
	have := p.known[key]
	if have == nil {
		have = &servicePods{users: map[user]bool{}}
		p.known[key] = have
	}
	have.users[u] = true
	if p.asked[u] == nil {
		p.asked[u] = map[types.NamespacedName]bool{}
	}
	p.asked[u][key] = true
	return have
}

// forget drops what is known on somebody's behalf alone.
func (p *Probes) forget(u user) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.asked[u] {
		if have := p.known[key]; have != nil {
			delete(have.users, u)
			if len(have.users) == 0 {
				delete(p.known, key)
			}
		}
	}
	delete(p.asked, u)
}

// readPods reads the pods of a Service whose turn it is.
func (p *Probes) readPods(ctx context.Context, key types.NamespacedName) {
	unknown, selector := p.unknownOf(key)
	if len(unknown) == 0 {
		p.queue.Forget(key)
		return
	}
	limited, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	found, err := p.read(limited, key, selector, unknown)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	for _, u := range p.note(key, found, err) {
		u.tell()
	}
	if err != nil {
		p.queue.AddRateLimited(key)
	} else {
		p.queue.Forget(key)
	}
}

func (p *Probes) unknownOf(key types.NamespacedName) (map[types.UID]types.NamespacedName, map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.known[key]
	if have == nil {
		return nil, nil
	}
	return maps.Clone(have.unknown), have.selector
}

// note takes in what was read, and returns to whom it is news.
func (p *Probes) note(key types.NamespacedName, found podProbes, err error) []user {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.known[key]
	if have == nil {
		return nil
	}
	failedBefore := have.err != nil
	news := !have.answered || err == nil || !failedBefore
	have.answered, have.err = true, err
	for uid, probes := range found {
		have.probes[uid] = probes
		delete(have.unknown, uid)
	}
	if !news {
		return nil
	}
	out := make([]user, 0, len(have.users))
	for u := range have.users {
		out = append(out, u)
	}
	return out
}

// read asks the API server for pods: one by one when they are few, otherwise all of the Service's, from the
// API server's own cache.
func (p *Probes) read(
	ctx context.Context, service types.NamespacedName, selector map[string]string, unknown map[types.UID]types.NamespacedName,
) (podProbes, error) {
	out := podProbes{}
	for uid := range unknown {
		out[uid] = nil
	}
	if len(unknown) > fewPods && len(selector) > 0 {
		var list corev1.PodList
		err := p.reader.List(ctx, &list, client.InNamespace(service.Namespace), client.MatchingLabels(selector),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
		if err != nil {
			return nil, fmt.Errorf("list pods of Service %s: %w", service, err)
		}
		for i := range list.Items {
			if _, asked := unknown[list.Items[i].UID]; asked {
				out[list.Items[i].UID] = grpcProbes(&list.Items[i])
			}
		}
		return out, nil
	}
	for uid, name := range unknown {
		var pod corev1.Pod
		err := p.reader.Get(ctx, name, &pod)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read pod %s: %w", name, err)
		}
		if err == nil && pod.UID == uid {
			out[uid] = grpcProbes(&pod)
		}
	}
	return out, nil
}

// podEndpoint is an endpoint that a pod stands behind.
type podEndpoint struct {
	uid  types.UID
	pod  types.NamespacedName
	port int32
}

// agree: every pod must have the probe, and all for the same service.
func agree(endpoints []podEndpoint, probes podProbes) gateway.Probe {
	var out gateway.Probe
	for _, endpoint := range endpoints {
		ports, found := probes[endpoint.uid]
		if !found || ports == nil {
			// The pod has not been read yet, or went away before it was: it has no say.
			continue
		}
		service, declared := ports[endpoint.port]
		if !declared || (out.State == gateway.ProbeGRPC && out.Service != service) {
			return gateway.Probe{State: gateway.ProbeNone}
		}
		out = gateway.Probe{State: gateway.ProbeGRPC, Service: service}
	}
	return out
}

// podEndpoints are the endpoints of a Service's port that have pods; others: some have none.
// Terminating ones have no say, they are about to be gone.
func podEndpoints(service *corev1.Service, slices []discoveryv1.EndpointSlice, port int32) (endpoints []podEndpoint, others bool) {
	for i := range slices {
		number, ok := gateway.PortNumber(service, port, slices, &slices[i])
		if !ok {
			continue
		}
		for _, endpoint := range slices[i].Endpoints {
			switch target := endpoint.TargetRef; {
			case ptr.Deref(endpoint.Conditions.Terminating, false):
			case target == nil || target.Kind != "Pod":
				others = true
			default:
				endpoints = append(endpoints, podEndpoint{
					uid: target.UID, port: number,
					pod: types.NamespacedName{Namespace: slices[i].Namespace, Name: target.Name},
				})
			}
		}
	}
	return endpoints, others
}

// grpcProbes are a pod's gRPC readiness probes, by port; never nil.
func grpcProbes(pod *corev1.Pod) map[int32]string {
	out := map[int32]string{}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if probe := containers[i].ReadinessProbe; probe != nil && probe.GRPC != nil {
				out[probe.GRPC.Port] = ptr.Deref(probe.GRPC.Service, "")
			}
		}
	}
	return out
}
