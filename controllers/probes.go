package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list

const (
	// maxProbedServices bounds the memory: so many Services' pods are remembered.
	maxProbedServices = 4096
	// fewPods are read one by one; more are listed at once.
	fewPods = 3
)

// probeReader finds out which gRPC readiness probes the pods of a Service declare. The probes of a
// pod never change, so each pod is asked once; pods are not watched, because a cluster has many
// more of them than matter here.
type probeReader struct {
	reader client.Reader
	mu     sync.Mutex
	// known holds podProbes by the key of their Service. Pods that are gone are forgotten.
	known *lru.Cache
}

// podProbes are the gRPC readiness probes of pods: by UID, then by port, the service asked for.
// A pod that could not be found has none recorded (nil).
type podProbes map[types.UID]map[int32]string

func newProbeReader(reader client.Reader) *probeReader {
	return &probeReader{reader: reader, known: lru.New(maxProbedServices)}
}

// podEndpoint is an endpoint that a pod stands behind.
type podEndpoint struct {
	uid  types.UID
	pod  types.NamespacedName
	port int32
}

// probe looks at the pods behind a port of a Service.
func (p *probeReader) probe(
	ctx context.Context, service *corev1.Service, slices []discoveryv1.EndpointSlice, port int32,
) (gateway.Probe, error) {
	endpoints, others := podEndpoints(service, slices, port)
	if len(endpoints) == 0 {
		return gateway.Probe{}, nil
	}
	probes, err := p.probesOf(ctx, service, endpoints)
	if err != nil {
		return gateway.Probe{}, err
	}
	if others {
		return gateway.Probe{State: gateway.ProbeNone}, nil
	}
	return agree(endpoints, probes), nil
}

// agree: every pod must have the probe, and all for the same service.
func agree(endpoints []podEndpoint, probes podProbes) gateway.Probe {
	var out gateway.Probe
	for _, endpoint := range endpoints {
		ports, found := probes[endpoint.uid]
		if !found || ports == nil {
			// The pod went away between its endpoint and our question: it has no say.
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
	name := ""
	for _, p := range service.Spec.Ports {
		if p.Port == port {
			name = p.Name
		}
	}
	for i := range slices {
		number, ok := endpointPort(&slices[i], name)
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

func endpointPort(slice *discoveryv1.EndpointSlice, name string) (int32, bool) {
	for _, port := range slice.Ports {
		if ptr.Deref(port.Name, "") == name && port.Port != nil {
			return *port.Port, true
		}
	}
	return 0, false
}

// probesOf returns the probes of the pods, reading those that are not known yet.
func (p *probeReader) probesOf(ctx context.Context, service *corev1.Service, endpoints []podEndpoint) (podProbes, error) {
	key := client.ObjectKeyFromObject(service)
	before := p.recall(key)
	now := podProbes{}
	unknown := map[types.UID]types.NamespacedName{}
	for _, endpoint := range endpoints {
		if probes, ok := before[endpoint.uid]; ok {
			now[endpoint.uid] = probes
		} else {
			unknown[endpoint.uid] = endpoint.pod
		}
	}
	if err := p.read(ctx, service, unknown, now); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.Add(key, now)
	return now, nil
}

func (p *probeReader) recall(key types.NamespacedName) podProbes {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value, ok := p.known.Get(key); ok {
		if probes, ok := value.(podProbes); ok {
			return probes
		}
	}
	return nil
}

// read asks the API server for pods: one by one when they are few, otherwise all of the Service's.
func (p *probeReader) read(ctx context.Context, service *corev1.Service, unknown map[types.UID]types.NamespacedName, into podProbes) error {
	for uid := range unknown {
		into[uid] = nil
	}
	if len(unknown) > fewPods && len(service.Spec.Selector) > 0 {
		var list corev1.PodList
		err := p.reader.List(ctx, &list, client.InNamespace(service.Namespace), client.MatchingLabels(service.Spec.Selector))
		if err != nil {
			return fmt.Errorf("list pods of Service %s/%s: %w", service.Namespace, service.Name, err)
		}
		for i := range list.Items {
			if _, asked := unknown[list.Items[i].UID]; asked {
				into[list.Items[i].UID] = grpcProbes(&list.Items[i])
			}
		}
		return nil
	}
	for uid, name := range unknown {
		var pod corev1.Pod
		err := p.reader.Get(ctx, name, &pod)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read pod %s: %w", name, err)
		}
		if err == nil && pod.UID == uid {
			into[uid] = grpcProbes(&pod)
		}
	}
	return nil
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
