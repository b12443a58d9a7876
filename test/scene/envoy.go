package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Where Envoy's admin interface listens, inside its pod only: that of Envoy Gateway, and one of one's own.
const (
	AdminPort    = 19000
	OwnAdminPort = 9901
)

// EnvoyEndpoint is an endpoint as Envoy sees it.
type EnvoyEndpoint struct {
	Address string
	// Priority is 0 for the backends that serve and 1 for the fallback.
	Priority int
	// Locality is the name of the backend within the cluster.
	Locality string
	// Health is healthy, or why Envoy doesn't use the endpoint.
	Health string
	// Calls is how many calls Envoy has sent there.
	Calls int64
}

// healthy is the Health of an endpoint that Envoy uses.
const healthy = "HEALTHY"

// EnvoyEndpoints asks an Envoy of the Gateway of an ExposedService for the endpoints of its cluster,
// through its admin interface.
func (c *Cluster) EnvoyEndpoints(ctx context.Context, exs *v1alpha1.ExposedService) (cluster string, endpoints []EnvoyEndpoint, err error) {
	pod, err := c.EnvoyPod(ctx, exs)
	if err != nil {
		return "", nil, err
	}
	body, err := c.fromPod(ctx, pod, AdminPort, "/clusters?format=json")
	if err != nil {
		return "", nil, fmt.Errorf("ask Envoy in pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	var answer clusters
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", nil, fmt.Errorf("Envoy's answer: %w", err)
	}
	name := gateway.ClusterName(exs)
	for _, status := range answer.Statuses {
		if status.Name != name {
			continue
		}
		for _, host := range status.Hosts {
			endpoints = append(endpoints, host.endpoint())
		}
	}
	sort.Slice(endpoints, func(i, j int) bool {
		if endpoints[i].Priority != endpoints[j].Priority {
			return endpoints[i].Priority < endpoints[j].Priority
		}
		return endpoints[i].Address < endpoints[j].Address
	})
	return name, endpoints, nil
}

// clusters is Envoy's answer to /clusters?format=json, as far as it is used here.
type clusters struct {
	Statuses []struct {
		Name  string `json:"name"`
		Hosts []host `json:"host_statuses"`
	} `json:"cluster_statuses"`
}

type host struct {
	Address struct {
		Socket struct {
			Address string `json:"address"`
			Port    int    `json:"port_value"`
		} `json:"socket_address"`
	} `json:"address"`
	Priority int      `json:"priority"`
	Locality locality `json:"locality"`
	Stats    []struct {
		Name  string      `json:"name"`
		Value json.Number `json:"value"`
	} `json:"stats"`
	Health struct {
		EDS    string `json:"eds_health_status"`
		Active bool   `json:"failed_active_health_check"`
		First  bool   `json:"pending_active_hc"`
	} `json:"health_status"`
}

type locality struct {
	Region string `json:"region"`
	Zone   string `json:"zone"`
	Part   string `json:"sub_zone"`
}

func (l locality) name() string { return strings.TrimRight(l.Region+"/"+l.Zone+"/"+l.Part, "/") }

func (h host) endpoint() EnvoyEndpoint {
	out := EnvoyEndpoint{
		Address:  fmt.Sprintf("%s:%d", h.Address.Socket.Address, h.Address.Socket.Port),
		Priority: h.Priority, Locality: h.Locality.Region, Health: h.Health.EDS,
	}
	switch {
	case out.Health != "" && out.Health != healthy && out.Health != "UNKNOWN":
	case h.Health.First:
		out.Health = "NOT CHECKED YET"
	case h.Health.Active:
		out.Health = "FAILS ITS CHECK"
	default:
		out.Health = healthy
	}
	for _, stat := range h.Stats {
		if stat.Name == "rq_total" {
			out.Calls, _ = stat.Value.Int64() // absent is 0
		}
	}
	return out
}

// EnvoyPod is a ready pod of the Envoys that carry the Gateway of an ExposedService, or all Gateways of its class.
func (c *Cluster) EnvoyPod(ctx context.Context, exs *v1alpha1.ExposedService) (*corev1.Pod, error) {
	ref := gateway.GatewayRef(exs)
	var pods, merged corev1.PodList
	if err := c.List(ctx, &pods, client.MatchingLabels{
		"gateway.envoyproxy.io/owning-gateway-name": ref.Name, "gateway.envoyproxy.io/owning-gateway-namespace": ref.Namespace,
	}); err != nil {
		return nil, err
	}
	if class := exs.Spec.Gateway.ClassName; class != nil {
		if err := c.List(ctx, &merged, client.MatchingLabels{"gateway.envoyproxy.io/owning-gatewayclass": *class}); err != nil {
			return nil, err
		}
		pods.Items = append(pods.Items, merged.Items...)
	}
	for i := range pods.Items {
		for _, condition := range pods.Items[i].Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pods.Items[i].DeletionTimestamp.IsZero() {
				return &pods.Items[i], nil
			}
		}
	}
	return nil, fmt.Errorf("no Envoy of Gateway %s/%s is ready", ref.Namespace, ref.Name)
}

// fromPod fetches a path from a port that a pod opens on its own loopback address.
func (c *Cluster) fromPod(ctx context.Context, pod *corev1.Pod, port int, path string) ([]byte, error) {
	from, stop, err := c.FromPod(pod, port)
	if err != nil {
		return nil, err
	}
	defer stop()
	return from(ctx, path)
}

// FromPod opens a way to a port that a pod opens on its own loopback address: from fetches a path, again and again on one
// connection, until stop.
func (c *Cluster) FromPod(pod *corev1.Pod, port int) (from func(ctx context.Context, path string) ([]byte, error), stop func(), err error) {
	forwarded, end, err := c.forward(pod, port)
	if err != nil {
		return nil, nil, err
	}
	// Not the default transport, which would ask a proxy for the way to loopback.
	http1 := &http.Client{Transport: &http.Transport{}}
	return func(ctx context.Context, path string) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", forwarded, path), nil)
		if err != nil {
			return nil, err
		}
		response, err := http1.Do(request)
		if err != nil {
			return nil, err
		}
		defer func() { _ = response.Body.Close() }()
		return io.ReadAll(response.Body)
	}, func() { http1.CloseIdleConnections(); end() }, nil
}

// forward opens a port of a pod on this machine's loopback address, as `kubectl port-forward` does.
func (c *Cluster) forward(pod *corev1.Pod, port int) (local uint16, stop func(), err error) {
	transport, upgrader, err := spdy.RoundTripperFor(c.rest)
	if err != nil {
		return 0, nil, err
	}
	url := c.core.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	stopped, ready, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.New(dialer, []string{fmt.Sprintf("0:%d", port)}, stopped, ready, io.Discard, io.Discard)
	if err != nil {
		return 0, nil, err
	}
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case err := <-failed:
		return 0, nil, fmt.Errorf("forward port %d of pod %s/%s: %w", port, pod.Namespace, pod.Name, err)
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(stopped)
		return 0, nil, err
	}
	return ports[0].Local, func() { close(stopped) }, nil
}
