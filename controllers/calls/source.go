package calls

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

// Source is where an ExposedService asks its calls to be counted.
type Source struct {
	// Field is the path of what asks for it, for people.
	Field string
	Kind  v1alpha1.AnalysisSource
	// Sides: the two sides of a rollout are asked about, and not all backends.
	Sides bool
	// Prometheus is for the kind of that name.
	Prometheus *prometheusServer
	// Workload is where the pods show their metrics, for the kind of that name.
	Workload *v1alpha1.WorkloadMetrics
	// Codes are the gRPC status codes that count as errors; empty: those that do by default.
	Codes []v1alpha1.GRPCCode
}

// prometheusServer is a Prometheus server and what to ask it.
type prometheusServer struct {
	Address, Calls, Errors, Begun, Latencies string
	Token, CA                                *corev1.SecretKeySelector
}

// config tells whether a source is still what is asked for.
func (s *Source) config() string {
	text, _ := json.Marshal(s) //nolint:errchkjson,musttag // plain data, which nobody else reads
	return string(text)
}

// target is the server that is asked, where ExposedServices share one: looks at one server are bounded. What they ask of proxies is shared
// itself, and pods are their own.
func (s *Source) target() string {
	if s.Prometheus == nil {
		return ""
	}
	address, err := url.Parse(s.Prometheus.Address)
	if err != nil {
		return ""
	}
	return address.Host
}

// ErrorSource is what an ExposedService asks for in spec.failover.errors; nil: nothing.
func ErrorSource(exs *v1alpha1.ExposedService) *Source {
	if exs.Spec.Failover == nil || exs.Spec.Failover.Errors == nil {
		return nil
	}
	asked := exs.Spec.Failover.Errors
	out := &Source{Field: "spec.failover.errors", Kind: standardSource(exs)}
	if asked.Source != nil {
		out.Kind = v1alpha1.AnalysisSource(*asked.Source)
	}
	if p := asked.Prometheus; p != nil && out.Kind == v1alpha1.AnalysisPrometheus {
		out.Prometheus = &prometheusServer{
			Address: p.Address, Calls: p.Calls, Errors: p.Errors,
			Token: p.BearerTokenSecretRef.DeepCopy(), CA: p.CASecretRef.DeepCopy(),
		}
	}
	return out
}

// RolloutSource is where the calls of both sides of a rollout are to be counted; nil: there is none.
func RolloutSource(exs *v1alpha1.ExposedService) *Source {
	if exs.Spec.Rollout == nil {
		return &Source{Field: "spec.rollout", Kind: standardSource(exs), Sides: true}
	}
	analysis := ptr.Deref(exs.Spec.Rollout.Analysis, v1alpha1.Analysis{})
	out := &Source{
		Field: "spec.rollout.analysis", Sides: true,
		Kind: ptr.Deref(analysis.Source, v1alpha1.AnalysisAuto),
	}
	if out.Kind == v1alpha1.AnalysisAuto {
		out.Kind = bestSource(exs, analysis)
	}
	if analysis.Errors != nil {
		out.Codes = slices.Clone(analysis.Errors.Codes)
	}
	if out.Kind == v1alpha1.AnalysisWorkload {
		out.Workload = analysis.Workload.DeepCopy()
	}
	if p := analysis.Prometheus; p != nil && out.Kind == v1alpha1.AnalysisPrometheus {
		out.Prometheus = &prometheusServer{
			Address: p.Address, Calls: p.Calls, Errors: p.Errors,
			Begun: ptr.Deref(p.Begun, ""), Latencies: ptr.Deref(p.Latencies, ""),
			Token: p.BearerTokenSecretRef.DeepCopy(), CA: p.CASecretRef.DeepCopy(),
		}
	}
	return out
}

// bestSource is what Auto stands for. What somebody took the trouble to configure is meant to be used.
func bestSource(exs *v1alpha1.ExposedService, analysis v1alpha1.Analysis) v1alpha1.AnalysisSource {
	switch {
	case analysis.Prometheus != nil:
		return v1alpha1.AnalysisPrometheus
	case analysis.Workload != nil:
		return v1alpha1.AnalysisWorkload
	}
	return standardSource(exs)
}

// standardSource is the one that needs nothing to be configured.
func standardSource(exs *v1alpha1.ExposedService) v1alpha1.AnalysisSource {
	if exs.Spec.Gateway == nil {
		return v1alpha1.AnalysisLoadReports
	}
	return v1alpha1.AnalysisEnvoy
}

// Check says what has to be settled about a source before anything can be counted by it.
func (c *Counter) Check(namespace string, asked *Source) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.newSource(namespace, asked)
	return err
}

// newSource makes a source. The error is for the person who asks for it.
func (c *Counter) newSource(namespace string, asked *Source) (signals.Source, error) {
	if err := asked.checkCodes(); err != nil {
		return nil, err
	}
	switch asked.Kind {
	case v1alpha1.AnalysisLoadReports:
		if c.loads == nil {
			return nil, errors.New("clients report to Headgate's xDS server, which is off: turn it on (--xds-bind-address, in the chart xds.enabled), " +
				"or set another source")
		}
		return signals.NewLoadReports(signals.LoadReportsConfig{Reader: c.loads, Clock: c.config.Clock}), nil
	case v1alpha1.AnalysisPrometheus:
		return c.newPrometheus(namespace, asked)
	case v1alpha1.AnalysisWorkload:
		if asked.Workload == nil {
			return nil, errors.New("workload is required with source: Workload: name the port at which the pods show their metrics")
		}
		return signals.NewWorkload(signals.WorkloadConfig{
			Path: ptr.Deref(asked.Workload.Path, ""), Calls: ptr.Deref(asked.Workload.Calls, ""),
			CodeLabel: ptr.Deref(asked.Workload.CodeLabel, ""), Latencies: ptr.Deref(asked.Workload.Latencies, ""),
			Codes: signals.CodesOf(asked.Codes), Client: c.config.HTTP, Clock: c.config.Clock,
		}), nil
	}
	return signals.NewEnvoy(signals.EnvoyConfig{Codes: signals.CodesOf(asked.Codes), Scraper: c.config.Scraper, Clock: c.config.Clock}), nil
}

// checkCodes says whether somebody chooses codes where nobody knows them.
func (s *Source) checkCodes() error {
	switch {
	case len(s.Codes) == 0:
		return nil
	case s.Kind == v1alpha1.AnalysisPrometheus:
		return errors.New("errors.codes: what counts as an error is what prometheus.errors asks for: put the codes into the query, and remove them here")
	case s.Kind == v1alpha1.AnalysisLoadReports:
		return errors.New("errors.codes: clients report no gRPC status codes: remove them, or set source: Workload")
	}
	return nil
}

func (c *Counter) newPrometheus(namespace string, asked *Source) (signals.Source, error) {
	server := asked.Prometheus
	if server == nil {
		return nil, errors.New("prometheus is required with source: Prometheus: name the server's address and the queries")
	}
	return signals.NewPrometheus(signals.PrometheusConfig{
		Address: server.Address, Calls: server.Calls, Errors: server.Errors, Begun: server.Begun, Latencies: server.Latencies, Sides: asked.Sides,
		Client: c.config.HTTP, Clock: c.config.Clock,
		Credentials: func(ctx context.Context) (signals.Credentials, error) {
			return c.credentials(ctx, namespace, server)
		},
	})
}

// credentials reads what a Prometheus server is asked with. The error says what to do about it.
func (c *Counter) credentials(ctx context.Context, namespace string, server *prometheusServer) (signals.Credentials, error) {
	var out signals.Credentials
	var err error
	if out.Token, err = c.config.Secret(ctx, namespace, server.Token); err != nil {
		return out, err
	}
	out.CA, err = c.config.Secret(ctx, namespace, server.CA)
	return out, err
}
