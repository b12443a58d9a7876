package scene

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	// PrometheusApp is the name of the Prometheus server among the applications of its namespace.
	PrometheusApp  = "prometheus"
	prometheusPort = 9090
)

// PrometheusImage is the image of Prometheus: PROMETHEUS_IMAGE, or the one that the local cluster is
// given by its command `prometheus`.
func PrometheusImage() string {
	if image := os.Getenv("PROMETHEUS_IMAGE"); image != "" {
		return image
	}
	return "docker.io/prom/prometheus:v3.15.0"
}

// PrometheusConfig is what a Prometheus server is made of.
type PrometheusConfig struct {
	// Namespace is where it runs, which has to exist. All that is made for it goes with this namespace.
	Namespace string
	// Apps are the applications in this namespace whose pods it scrapes.
	Apps []string
	// Discovery is a URL that answers with further targets, as Prometheus's HTTP service discovery asks for them. Empty: none.
	Discovery string
	// Rules is a file of alerting rules. Empty: none.
	Rules string
	// WithoutHeadgate leaves Headgate out, which then need not be there.
	WithoutHeadgate bool
}

// Prometheus is a Prometheus server on the cluster. It scrapes the pods of applications and, unless
// it is told not to, all replicas of Headgate every second.
type Prometheus struct {
	// API asks it. The API server passes everything on, so that it works from anywhere.
	API promv1.API

	cluster   *Cluster
	namespace string
}

// DeployPrometheus makes a Prometheus server and waits until it answers.
func (c *Cluster) DeployPrometheus(ctx context.Context, config PrometheusConfig) (*Prometheus, error) {
	var namespace corev1.Namespace
	if err := c.Get(ctx, client.ObjectKey{Name: config.Namespace}, &namespace); err != nil {
		return nil, err
	}
	objects, err := config.objects(&namespace)
	if err != nil {
		return nil, err
	}
	if err := c.Put(ctx, objects...); err != nil {
		return nil, err
	}
	if err := c.UntilReady(ctx, config.Namespace, PrometheusApp); err != nil {
		return nil, fmt.Errorf("%w (on a local cluster `cluster prometheus` loads its image, elsewhere PROMETHEUS_IMAGE names it)", err)
	}
	asked, err := c.prometheusAPI(config.Namespace)
	if err != nil {
		return nil, err
	}
	return &Prometheus{API: asked, cluster: c, namespace: config.Namespace}, nil
}

func (c *Cluster) prometheusAPI(namespace string) (promv1.API, error) {
	transport, err := rest.TransportFor(c.rest)
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(c.rest)
	if err != nil {
		return nil, err
	}
	address := server.JoinPath("api", "v1", "namespaces", namespace, "services", fmt.Sprintf("%s:%d", PrometheusApp, prometheusPort), "proxy")
	asked, err := api.NewClient(api.Config{Address: address.String(), RoundTripper: transport})
	if err != nil {
		return nil, err
	}
	return promv1.NewAPI(asked), nil
}

// ErrorBound is a bound on errors that this server counts, with queries for the metrics of the
// sample application. What probes and health checks ask is no call.
func (p *Prometheus) ErrorBound(maxPercent string) *v1alpha1.ErrorBound {
	const calls = `grpc_server_handled_total{namespace="{{.Namespace}}",service="{{.Service}}",grpc_service!="grpc.health.v1.Health"`
	return &v1alpha1.ErrorBound{
		MaxPercent: maxPercent,
		Source:     ptr.To(v1alpha1.SourcePrometheus),
		Prometheus: &v1alpha1.PrometheusSource{
			Address: fmt.Sprintf("http://%s.%s:%d", PrometheusApp, p.namespace, prometheusPort),
			Calls:   calls + `}`,
			Errors:  calls + `,grpc_code=~"Unknown|Internal|Unavailable|DataLoss"} or vector(0)`,
		},
	}
}

// ServerQueries ask for the calls of both sides of a rollout, by the metrics of the sample application's pods, whose names tell the sides
// apart. This server is one of the platform, by that name, which keeps them to the namespace.
func ServerQueries(server string) *v1alpha1.AnalysisQueries {
	out := queries(`pod=~"{{.Workload}}-(00-)?{{.PodTemplateHash}}-[a-z0-9]+"`)
	out.Server = server
	return out
}

// ServiceQueries ask for the calls of both sides of a rollout where each has a Service of the user's own.
func (p *Prometheus) ServiceQueries() *v1alpha1.AnalysisQueries {
	out := queries(`namespace="{{.Namespace}}",service="{{.Service}}"`)
	out.Address = fmt.Sprintf("http://%s.%s:%d", PrometheusApp, p.namespace, prometheusPort)
	return out
}

// queries ask for the calls of what has the labels.
func queries(labels string) *v1alpha1.AnalysisQueries {
	of := `{` + labels + `,grpc_service="helloworld.Greeter"`
	return &v1alpha1.AnalysisQueries{
		Calls:     `grpc_server_handled_total` + of + `}`,
		Errors:    `grpc_server_handled_total` + of + `,grpc_code=~"Unknown|Internal|Unavailable|DataLoss"} or vector(0)`,
		Latencies: ptr.To(`grpc_server_handling_seconds_bucket` + of + `,grpc_type="unary"}`),
	}
}

// Scale gives the server so many replicas, 0 or 1, and waits for them. It forgets all that it has scraped.
func (p *Prometheus) Scale(ctx context.Context, replicas int32) error {
	if err := p.cluster.Scale(ctx, p.namespace, PrometheusApp, replicas); err != nil {
		return err
	}
	return p.cluster.UntilReady(ctx, p.namespace, PrometheusApp)
}

// Query is the result of an expression now. A warning is an error.
func (p *Prometheus) Query(ctx context.Context, expression string) (model.Vector, error) {
	value, warnings, err := p.API.Query(ctx, expression, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("%s: %v", expression, warnings)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s: the result is a %s, want a vector", expression, value.Type())
	}
	return vector, nil
}

// UntilFound waits until an expression has a result.
func (p *Prometheus) UntilFound(ctx context.Context, expression string) (model.Vector, error) {
	var found model.Vector
	err := Until(ctx, "a result of "+expression, func(ctx context.Context) error {
		var err error
		if found, err = p.Query(ctx, expression); err == nil && len(found) == 0 {
			err = errNotYet
		}
		return err
	})
	return found, err
}

// Rules are the alerting rules of the server.
func (p *Prometheus) Rules(ctx context.Context) ([]promv1.AlertingRule, error) {
	result, err := p.API.Rules(ctx, nil)
	if err != nil {
		return nil, err
	}
	var out []promv1.AlertingRule
	for _, group := range result.Groups {
		for _, rule := range group.Rules {
			alerting, ok := rule.(promv1.AlertingRule)
			if !ok {
				return nil, errors.New("a rule is no alerting rule")
			}
			out = append(out, alerting)
		}
	}
	return out, nil
}
