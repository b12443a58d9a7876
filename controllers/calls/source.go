package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// Server is the name of a server of the platform, and Address that of another; one of them is empty.
	Server, Address                 string
	Calls, Errors, Begun, Latencies string
	Token, CA                       *corev1.SecretKeySelector
}

// config tells whether a source is still what is asked for.
func (s *Source) config() string {
	text, _ := json.Marshal(s) //nolint:errchkjson,musttag // plain data, which nobody else reads
	return string(text)
}

// problem is an error about the source, with the path of the field that it is about. It is for the person who wrote that.
func (s *Source) problem(err error) error {
	if at, ok := errors.AsType[*fieldError](err); ok {
		return fmt.Errorf("%s.%w", s.Field, at)
	}
	return fmt.Errorf("%s: %w", s.Field, err)
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
			Server: p.Server, Address: p.Address, Calls: p.Calls, Errors: p.Errors,
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
			Server: p.Server, Address: p.Address, Calls: p.Calls, Errors: p.Errors,
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

// Check says what has to be settled about a source before anything can be counted by it. The error begins with the path of a field.
func (c *Counter) Check(namespace string, asked *Source) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _, err := c.newSource(namespace, asked)
	return err
}

// newSource makes a source, and says which server it asks, where ExposedServices share one: looks at one server are bounded. What they ask
// of proxies is shared itself, and pods are their own. The error is for the person who asks for it, and begins with the path of a field.
func (c *Counter) newSource(namespace string, asked *Source) (source signals.Source, target string, err error) {
	if err = asked.checkCodes(); err == nil {
		source, target, err = c.sourceOf(namespace, asked)
	}
	if err != nil {
		return nil, "", asked.problem(err)
	}
	return source, target, nil
}

func (c *Counter) sourceOf(namespace string, asked *Source) (source signals.Source, target string, err error) {
	switch asked.Kind {
	case v1alpha1.AnalysisLoadReports:
		if c.loads == nil {
			return nil, "", errors.New("clients report to Headgate's xDS server, which is off: turn it on (--xds-bind-address, in the chart xds.enabled), " +
				"or set another source")
		}
		return signals.NewLoadReports(signals.LoadReportsConfig{Reader: c.loads, Clock: c.config.Clock}), "", nil
	case v1alpha1.AnalysisPrometheus:
		return c.newPrometheus(namespace, asked)
	case v1alpha1.AnalysisWorkload:
		if asked.Workload == nil {
			return nil, "", errors.New("workload is required with source: Workload: name the port at which the pods show their metrics")
		}
		return signals.NewWorkload(signals.WorkloadConfig{
			Path: ptr.Deref(asked.Workload.Path, ""), Calls: ptr.Deref(asked.Workload.Calls, ""),
			CodeLabel: ptr.Deref(asked.Workload.CodeLabel, ""), Latencies: ptr.Deref(asked.Workload.Latencies, ""),
			Codes: signals.CodesOf(asked.Codes), Client: c.config.HTTP, Clock: c.config.Clock,
		}), "", nil
	}
	return signals.NewEnvoy(signals.EnvoyConfig{Codes: signals.CodesOf(asked.Codes), Scraper: c.config.Scraper, Clock: c.config.Clock}), "", nil
}

// checkCodes says whether somebody chooses codes where nobody knows them.
func (s *Source) checkCodes() error {
	switch {
	case len(s.Codes) == 0:
		return nil
	case s.Kind == v1alpha1.AnalysisPrometheus:
		return atField("errors.codes", errors.New("what counts as an error is what prometheus.errors asks for: put the codes into the query, and remove them here"))
	case s.Kind == v1alpha1.AnalysisLoadReports:
		return atField("errors.codes", errors.New("clients report no gRPC status codes: remove them, or set source: Workload"))
	}
	return nil
}

func (c *Counter) newPrometheus(namespace string, asked *Source) (signals.Source, string, error) {
	if asked.Prometheus == nil {
		return nil, "", errors.New("prometheus is required with source: Prometheus: name the server and the queries")
	}
	server, err := c.config.Prometheus.choose(namespace, asked.Prometheus)
	if err != nil {
		return nil, "", err
	}
	if server.credentials == nil {
		server.credentials = func(ctx context.Context) (signals.Credentials, error) {
			return c.credentials(ctx, namespace, asked.Prometheus)
		}
	}
	source, err := signals.NewPrometheus(signals.PrometheusConfig{
		Address: server.address, Only: server.only, Credentials: server.credentials, Client: server.http, Clock: c.config.Clock, Sides: asked.Sides,
		Calls: asked.Prometheus.Calls, Errors: asked.Prometheus.Errors, Begun: asked.Prometheus.Begun, Latencies: asked.Prometheus.Latencies,
	})
	if err != nil {
		return nil, "", atField("prometheus", err)
	}
	return source, server.host(), nil
}

// credentials reads what a server is asked with that an ExposedService names. The error says what to do about it.
func (c *Counter) credentials(ctx context.Context, namespace string, server *prometheusServer) (signals.Credentials, error) {
	var out signals.Credentials
	var err error
	if out.Token, err = c.config.Secret(ctx, namespace, server.Token); err != nil {
		return out, err
	}
	out.CA, err = c.config.Secret(ctx, namespace, server.CA)
	return out, err
}
