package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/dataplane"
)

// shop is a world in which rollouts happen from start to end: Deployments have pods, their canaries have
// endpoints, and the proxies count calls. What it plays, it plays as the cluster's own controllers would,
// only at once: a Deployment that is not paused replaces its pods, one that is paused keeps them.
type shop struct {
	*world
	deployment *appsv1.Deployment
	exs        *v1alpha1.ExposedService
	clock      fastClock

	mu sync.Mutex
	// pods are how many pods of each template a Deployment has.
	pods map[types.UID]map[string]int32
	// calls and errors are those of the proxies, by address.
	calls, errors map[string]int
	// bad: half of the canary's calls fail.
	bad bool
}

// rolloutPatience is how long a test waits for a whole rollout, which takes five seconds by the clock of a
// shop on an idle machine.
const rolloutPatience = 90 * time.Second

const (
	shopDeployment = "primary-svc"
	shopCanary     = "primary-svc-canary"
)

// newShop starts everything but the operator. Rollouts mostly wait, and do so side by side.
func newShop(t *testing.T, with ...func(*v1alpha1.ExposedService)) *shop {
	t.Helper()
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	s := &shop{
		world: w, clock: newFastClock(), pods: map[types.UID]map[string]int32{}, calls: map[string]int{}, errors: map[string]int{},
	}
	s.deployment = w.deployment(shopDeployment)
	s.exs = w.exposedService("greeter", append([]func(*v1alpha1.ExposedService){shipping(shopDeployment), quickly}, with...)...)
	proxies := w.slice("proxies", "10.1.8.1")
	proxies.Labels = map[string]string{
		"gateway.envoyproxy.io/owning-gateway-name": "greeter", "gateway.envoyproxy.io/owning-gateway-namespace": w.namespace,
	}
	proxies.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "proxy", UID: "proxy"}
	w.create(s.deployment, proxies)
	s.play()
	return s
}

// quickly has steps of a second, and asks for little evidence.
func quickly(exs *v1alpha1.ExposedService) {
	hold := v1alpha1.LongDuration("1s")
	exs.Spec.Rollout.Steps = []v1alpha1.RolloutStep{{Weight: intstr.FromInt(20), Hold: &hold}, {Weight: intstr.FromInt(50), Hold: &hold}}
	exs.Spec.Rollout.Analysis = &v1alpha1.Analysis{Errors: &v1alpha1.ErrorTolerance{ProvePercent: ptr.To("5")}}
}

// open starts an operator; with the first one, the ExposedService is made and its Deployment held.
func (s *shop) open(options ...operatorOption) *operator {
	s.t.Helper()
	o := s.startOperator(append([]operatorOption{inHaste(s.clock), func(config *Config, _ *transport) {
		config.Transport = proxyPages{s}
		config.Dial = (&net.Dialer{}).DialContext
	}}, options...)...)
	return o
}

func (s *shop) expose() {
	s.t.Helper()
	s.create(s.exs)
	s.eventually("the Deployment is held, and what it runs is known", func() error {
		if err := errors.Join(s.read(s.exs), s.read(s.deployment)); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; !s.deployment.Spec.Paused || r == nil || r.Stable == "" {
			return fmt.Errorf("paused: %t, rollout: %+v", s.deployment.Spec.Paused, r)
		}
		return nil
	})
}

// ship changes the image of the Deployment.
func (s *shop) ship(image string) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

// until waits until the rollout is as a test wants it.
func (s *shop) until(what string, is func(*v1alpha1.RolloutStatus) bool) {
	s.t.Helper()
	err := poll(s.t.Context(), rolloutPatience, func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; r == nil || !is(r) {
			return fmt.Errorf("the rollout is %+v; there were %v", r, reasonsOf(s.exs))
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func (s *shop) untilStep(step int32) {
	s.t.Helper()
	s.until(fmt.Sprintf("step %d", step), func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutStepping && r.Step == step
	})
}

// images are what the pods of the Deployment run.
func (s *shop) images() string {
	return s.running(func(t *corev1.PodTemplateSpec) string { return t.Spec.Containers[0].Image })
}

// configs are with which configuration they were started.
func (s *shop) configs() string {
	return s.running(func(t *corev1.PodTemplateSpec) string { return t.Annotations[workload.AnnotationConfig] })
}

// running is something of the templates of the pods that the Deployment has.
func (s *shop) running(what func(*corev1.PodTemplateSpec) string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for template, n := range s.pods[s.deployment.UID] {
		var t corev1.PodTemplateSpec
		if err := json.Unmarshal([]byte(template), &t); err != nil {
			s.t.Fatal(err)
		}
		if n > 0 {
			out = append(out, what(&t))
		}
	}
	return strings.Join(out, ", ")
}

// nothingIsLeft fails the test if something of a canary is.
func (s *shop) nothingIsLeft() {
	s.t.Helper()
	s.eventually("nothing is left of the canary", func() error {
		meta := metav1.ObjectMeta{Name: shopCanary, Namespace: s.namespace}
		return errors.Join(gone(s.world, &appsv1.Deployment{ObjectMeta: meta}), gone(s.world, &corev1.Service{ObjectMeta: meta}))
	})
}

func reasonsOf(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, d := range exs.Status.History {
		out = append(out, string(d.Reason))
	}
	return out
}

func has(exs *v1alpha1.ExposedService, reason v1alpha1.DecisionReason) bool {
	for _, d := range exs.Status.History {
		if d.Reason == reason {
			return true
		}
	}
	return false
}

// play runs the controllers of the cluster until the test ends.
func (s *shop) play() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(30 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				dataplane.Each(ctx, s.kube, &appsv1.DeploymentList{}, s.namespace, func(d *appsv1.Deployment) { s.control(ctx, d) })
			}
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
}

// control is what the Deployment's controller and those of its pods do.
func (s *shop) control(ctx context.Context, d *appsv1.Deployment) {
	template, err := json.Marshal(d.Spec.Template)
	if err != nil {
		s.t.Error(err)
		return
	}
	current, want := string(template), ptr.Deref(d.Spec.Replicas, 1)
	s.mu.Lock()
	pods := s.pods[d.UID]
	switch {
	case pods == nil, !d.Spec.Paused:
		pods = map[string]int32{current: want}
		s.pods[d.UID] = pods
	default:
		for t, n := range pods {
			if n > 0 || len(pods) == 1 {
				pods[t] = want
			}
		}
	}
	status := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: want, UpdatedReplicas: pods[current], ReadyReplicas: want, AvailableReplicas: want,
	}
	s.mu.Unlock()
	if !equality.Semantic.DeepEqual(d.Status, status) {
		d.Status = status
		s.played(ctx, s.kube.Status().Update(ctx, d))
	}
	if d.Name == shopCanary {
		s.controlCanary(ctx, want)
	}
}

// controlCanary gives the canary an endpoint while it has pods.
func (s *shop) controlCanary(ctx context.Context, pods int32) {
	slice := s.slice(shopCanary, canaryAddress)
	live := &discoveryv1.EndpointSlice{}
	switch err := s.kube.Get(ctx, client.ObjectKeyFromObject(slice), live); {
	case apierrors.IsNotFound(err):
		s.played(ctx, s.kube.Create(ctx, slice))
	case err == nil && *live.Endpoints[0].Conditions.Ready != (pods > 0):
		live.Endpoints[0].Conditions.Ready = ptr.To(pods > 0)
		s.played(ctx, s.kube.Update(ctx, live))
	}
}

func (s *shop) played(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) &&
		!apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		s.t.Errorf("play the cluster: %v", err)
	}
}

// proxyPages answers for the one proxy: between two looks stable and canary have finished 500 calls each.
type proxyPages struct{ *shop }

// RoundTrip implements http.RoundTripper.
func (p proxyPages) RoundTrip(request *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const more = 500
	p.calls["10.1.0.1:50051"] += more
	p.calls[canaryAddress+":50051"] += more
	if p.bad {
		p.errors[canaryAddress+":50051"] += more / 2
	}
	cluster := fmt.Sprintf("grpcroute/%s/greeter/rule/0", p.namespace)
	var page bytes.Buffer
	fmt.Fprintf(&page, "# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name=%q} 1\n", cluster)
	for _, metric := range []struct {
		name string
		of   func(address string) int
	}{
		{"success", func(a string) int { return p.calls[a] - p.errors[a] }}, {"error", func(a string) int { return p.errors[a] }},
	} {
		fmt.Fprintf(&page, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", metric.name)
		for address := range p.calls {
			fmt.Fprintf(&page, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n",
				metric.name, cluster, address, metric.of(address))
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(&page),
	}, nil
}
