package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	_ "google.golang.org/grpc/xds" // the resolver and the balancers of a client without a proxy
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

// deadline is how long a caller waits.
const deadline = 2 * time.Second

// plane is a way to the backends.
type plane struct {
	name, says string
	// expose makes the ExposedService, and says how it is called.
	expose func(context.Context, *stage) (load.Config, error)
}

var planes = []plane{
	{"gateway", "Envoy Gateway, one cluster with priorities", throughGateway(v1alpha1.StrategyPriorities)},
	{"gateway-unpatched", "the same without EnvoyPatchPolicy", withoutPatches},
	{"portable", "Envoy Gateway, by weights alone", throughGateway(v1alpha1.StrategyWeights)},
	{"xds-envoy", "an Envoy of one's own on Headgate's xDS", throughOwnEnvoy},
	{"xds-proxyless", "a gRPC client without a proxy on Headgate's xDS", withoutProxy},
}

// setting is how calls are to be treated.
type setting struct {
	name, says string
	set        func(*v1alpha1.ExposedServiceSpec)
	// also is done besides, for what no ExposedService says.
	also func(context.Context, *stage) error
}

func retry(set func(*v1alpha1.Retry)) func(*v1alpha1.ExposedServiceSpec) {
	return func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Traffic = &v1alpha1.Traffic{Retry: &v1alpha1.Retry{Idempotent: ptr.To(true)}}
		set(spec.Traffic.Retry)
	}
}

var settings = []setting{
	{name: "once", says: "the default: calls may not run twice", set: func(spec *v1alpha1.ExposedServiceSpec) { spec.Traffic = nil }},
	{name: "twice", says: "calls may run twice: idempotent: true and nothing else", set: retry(func(*v1alpha1.Retry) {})},
	{name: "per-try", says: "idempotent, and perTryTimeout: 300ms", set: retry(func(r *v1alpha1.Retry) { r.PerTryTimeout = ptr.To(v1alpha1.Duration("300ms")) })},
	{name: "unavailable", says: "idempotent, and UNAVAILABLE is tried again", set: retry(func(r *v1alpha1.Retry) {
		r.RetryOn = []v1alpha1.RetryTrigger{"connect-failure", "refused-stream", "reset", "unavailable", "cancelled"}
	})},
	{name: "budget-20", says: "idempotent, with a retry budget of 20 %, at least 10", set: func(spec *v1alpha1.ExposedServiceSpec) {
		retry(func(*v1alpha1.Retry) {})(spec)
		spec.Traffic.CircuitBreaker = &v1alpha1.CircuitBreaker{RetryBudget: &v1alpha1.RetryBudget{Percent: ptr.To(int32(20)), MinConcurrency: ptr.To(int32(10))}}
	}},
	{name: "admission", says: "idempotent, and Envoy's admission control: a success rate of 90 % over 5 s, by an override", set: func(spec *v1alpha1.ExposedServiceSpec) {
		retry(func(*v1alpha1.Retry) {})(spec)
		spec.Overrides = []v1alpha1.Override{{Kind: "BackendTrafficPolicy", Patch: apiextensionsv1.JSON{Raw: []byte(
			`{"spec":{"admissionControl":{"samplingWindow":"5s","minSuccessRate":90,"maxRejectionPercent":95}}}`)}}}
	}},
	{
		name: "adaptive", says: "idempotent, and Envoy's adaptive concurrency with its defaults, by an EnvoyPatchPolicy (gateway only)",
		set: retry(func(*v1alpha1.Retry) {}), also: adaptiveConcurrency,
	},
	{name: "parallel-40", says: "idempotent, and at most 40 calls in flight for each proxy", set: func(spec *v1alpha1.ExposedServiceSpec) {
		retry(func(*v1alpha1.Retry) {})(spec)
		spec.Traffic.CircuitBreaker = &v1alpha1.CircuitBreaker{MaxParallelRequests: ptr.To(int32(40))}
	}},
	{name: "two-attempts", says: "idempotent, with one retry", set: retry(func(r *v1alpha1.Retry) { r.Attempts = ptr.To(int32(1)) })},
}

// adaptiveConcurrency puts the filter before all others of the listener.
func adaptiveConcurrency(ctx context.Context, s *stage) error {
	if !gateway.Owned(s.exs) {
		return fmt.Errorf("%w: the setting needs a Gateway of Headgate's own: -planes '^gateway$'", errUsage)
	}
	own := gateway.GatewayRef(s.exs)
	return s.Put(ctx, &egv1a1.EnvoyPatchPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: own.Namespace, Name: "adaptive-concurrency"},
		Spec: egv1a1.EnvoyPatchPolicySpec{
			Type:      egv1a1.JSONPatchEnvoyPatchType,
			TargetRef: gwapiv1.LocalPolicyTargetReference{Group: gwapiv1.GroupName, Kind: "Gateway", Name: gwapiv1.ObjectName(own.Name)},
			JSONPatches: []egv1a1.EnvoyJSONPatchConfig{{
				Type: egv1a1.ListenerEnvoyResourceType, Name: own.Namespace + "/" + own.Name + "/" + gateway.ListenerName,
				Operation: egv1a1.JSONPatchOperation{
					Op: "add", Path: ptr.To("/default_filter_chain/filters/0/typed_config/http_filters/0"),
					Value: &apiextensionsv1.JSON{Raw: []byte(`{"name":"envoy.filters.http.adaptive_concurrency","typed_config":{` +
						`"@type":"type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",` +
						`"gradient_controller_config":{"concurrency_limit_params":{"concurrency_update_interval":"0.1s"},` +
						`"min_rtt_calc_params":{"interval":"60s","request_count":50}}}}`)},
				},
			}},
		},
	})
}

// stage is an ExposedService with its backends in a namespace of its own.
type stage struct {
	*scene.Cluster
	space string
	exs   *v1alpha1.ExposedService
	// undo is done in the end, the last first.
	undo []func(context.Context) error
}

func setUp(ctx context.Context, space string, plane plane, setting setting) (*stage, load.Config, error) {
	cluster, err := scene.Connect()
	if err != nil {
		return nil, load.Config{}, err
	}
	s := &stage{Cluster: cluster, space: space + "-" + plane.name + "-" + setting.name}
	if err := s.UntilNamespaceGone(ctx, s.space); err != nil {
		return s, load.Config{}, err
	}
	if err := s.MakeNamespace(ctx, s.space); err != nil {
		return s, load.Config{}, err
	}
	s.undo = append(s.undo, func(ctx context.Context) error { return s.RemoveNamespace(ctx, s.space) })
	s.exs = scene.ExposedService(s.space, "greeter", primary, backup)
	setting.set(&s.exs.Spec)
	s.exs.Spec.Failover = &v1alpha1.Failover{
		// As one who fears outages sets it.
		Errors:   &v1alpha1.ErrorBound{MaxPercent: "5"},
		Recovery: &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100}},
	}
	if err := s.Deploy(ctx, s.space, apps...); err != nil {
		return s, load.Config{}, err
	}
	config, err := plane.expose(ctx, s)
	if err != nil {
		return s, config, err
	}
	if setting.also != nil {
		if err := setting.also(ctx, s); err != nil {
			return s, config, err
		}
	}
	config.Timeout, config.MaxInFlight = deadline, 0
	return s, config, scene.UntilAnswered(ctx, config)
}

func (s *stage) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := len(s.undo) - 1; i >= 0; i-- {
		if err := s.undo[i](ctx); err != nil {
			fmt.Fprintf(os.Stderr, "clean up %s: %v\n", s.space, err)
		}
	}
}

func throughGateway(strategy v1alpha1.FailoverStrategy) func(context.Context, *stage) (load.Config, error) {
	return func(ctx context.Context, s *stage) (load.Config, error) {
		s.exs.Spec.Failover.Strategy = &strategy
		if err := s.Put(ctx, s.exs); err != nil {
			return load.Config{}, err
		}
		if strategy == v1alpha1.StrategyPriorities {
			if err := s.UntilExposed(ctx, s.exs); err != nil {
				return load.Config{}, err
			}
		} else if _, err := s.UntilCondition(ctx, s.exs, v1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
			return load.Config{}, err
		}
		return scene.Load(s.exs, calm)
	}
}

// withoutPatches attaches to a Gateway in another namespace, which has no grant for an EnvoyPatchPolicy.
func withoutPatches(ctx context.Context, s *stage) (load.Config, error) {
	edge := s.space + "-edge"
	if err := s.MakeNamespace(ctx, edge); err != nil {
		return load.Config{}, err
	}
	s.undo = append(s.undo, func(ctx context.Context) error { return s.RemoveNamespace(ctx, edge) })
	shared := &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: "edge"},
		Spec: gwapiv1.GatewaySpec{GatewayClassName: scene.ClassName, Listeners: []gwapiv1.Listener{{
			Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType,
			AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
		}}},
	}
	if err := s.Put(ctx, shared); err != nil {
		return load.Config{}, err
	}
	s.exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: shared.Name, Namespace: ptr.To(edge)}}
	if err := s.Put(ctx, s.exs); err != nil {
		return load.Config{}, err
	}
	if _, err := s.UntilCondition(ctx, s.exs, v1alpha1.ConditionReady, metav1.ConditionTrue, ""); err != nil {
		return load.Config{}, err
	}
	return scene.Load(s.exs, calm)
}

func throughOwnEnvoy(ctx context.Context, s *stage) (load.Config, error) {
	if err := s.overXDS(ctx); err != nil {
		return load.Config{}, err
	}
	certificate, err := scene.XDSCertificate(ctx, s.space)
	if err != nil {
		return load.Config{}, err
	}
	return s.LoadThroughOwnEnvoy(ctx, s.exs, certificate, calm)
}

func withoutProxy(ctx context.Context, s *stage) (load.Config, error) {
	if err := s.overXDS(ctx); err != nil {
		return load.Config{}, err
	}
	certificate, err := scene.XDSCertificate(ctx, s.space)
	if err != nil {
		return load.Config{}, err
	}
	directory, err := os.MkdirTemp("", "headgate-bench")
	if err != nil {
		return load.Config{}, err
	}
	s.undo = append(s.undo, func(context.Context) error { return os.RemoveAll(directory) })
	return s.LoadWithoutProxy(ctx, s.exs, certificate, directory, calm)
}

// overXDS exposes the backends to clients of Headgate's own xDS and without a Gateway.
func (s *stage) overXDS(ctx context.Context) error {
	over := scene.ExposedServiceOverXDS(s.space, s.exs.Name, primary, backup)
	over.Spec.Traffic, over.Spec.Failover = s.exs.Spec.Traffic, s.exs.Spec.Failover
	s.exs = over
	return s.Put(ctx, s.exs)
}

func text(n int) string { return strconv.Itoa(n) }
