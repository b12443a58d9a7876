package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/gateway"
)

// Log formats.
const (
	logFormatJSON    = "json"
	logFormatConsole = "console"
)

// defaultWorkers is how many ExposedServices are worked on at once. A run waits for the API server most of its time.
const defaultWorkers = 4

// options are the flags of the operator.
type options struct {
	// metricsAddress is where metrics are served; "0": nowhere.
	metricsAddress string
	// metricsSecure serves them with TLS, to those whom the API server lets read /metrics.
	metricsSecure bool
	// probeAddress is where /healthz and /readyz are served; "0": nowhere.
	probeAddress string
	// pprofAddress is where /debug/pprof is served, to everybody who reaches it; empty: nowhere.
	pprofAddress string
	// leaderElect makes one of several replicas work and the others stand by.
	leaderElect bool
	// leaderElectionNamespace holds the lease; empty: the namespace of the pod.
	leaderElectionNamespace string
	// watchNamespaces limit where Headgate looks; empty: everywhere.
	watchNamespaces []string
	// rollouts lets Headgate hold and release Deployments; without them it needs no rights to any.
	rollouts bool
	// overrides are the kinds that spec.overrides may change.
	overrides []v1alpha1.OverrideKind
	// hostOwnership has ExposedServices have only host names of their namespaces.
	hostOwnership bool
	// hosts says which hosts fqdn backends may name.
	hosts facts.HostPolicy
	// workers is how many ExposedServices are worked on at once.
	workers int
	// prometheus says which Prometheus servers may be asked.
	prometheus prometheusOptions
	xds        xdsOptions
	logLevel   zapcore.Level
	logFormat  string
	// version asks for the version instead of a start.
	version bool
}

// parseOptions reads the command line, without the name of the program.
func parseOptions(args []string, output io.Writer) (options, error) {
	o := options{logLevel: zapcore.InfoLevel, overrides: gateway.DefaultOverrides()}
	flags := flag.NewFlagSet("headgate", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of the metrics endpoint; 0 turns it off")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true,
		"serve metrics with TLS, and only to clients that the API server allows to get the path /metrics")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	flags.StringVar(&o.pprofAddress, "pprof-bind-address", "", "address of /debug/pprof, for example 127.0.0.1:6060; nobody is asked who they are (default: off)")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "elect a leader among several replicas; the others stand by with full caches")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "",
		"namespace of the lease by which the leader is elected (default: the namespace of the pod)")
	flags.Func("watch-namespace",
		"namespaces to look at, separated by commas; those of shared Gateways and of Services belong to them (default: all)",
		func(value string) error {
			o.watchNamespaces = listed(value)
			return nil
		})
	flags.BoolVar(&o.rollouts, "rollouts", true, "roll out Deployments (spec.rollout.workloadRef); without, no rights to Deployments are needed")
	flags.Func("override-kinds",
		"kinds that spec.overrides may change, separated by commas; empty: none (default: GRPCRoute,BackendTrafficPolicy, whose overrides stay in their namespace)",
		func(value string) (err error) {
			o.overrides, err = parseOverrideKinds(value)
			return err
		})
	flags.BoolVar(&o.hostOwnership, "hostname-ownership", false,
		"let ExposedServices have only host names that the annotation headgate.dev/hostnames of their namespace holds")
	flags.StringVar(&o.hosts.ClusterDomain, "cluster-domain", facts.DefaultClusterDomain, "domain of the names of Services, which fqdn backends must not name")
	flags.Func("fqdn-allow",
		"hosts and addresses that fqdn backends may name although they are the cluster's own, separated by commas: DNS names (*.example.com for all below), addresses, ranges such as 10.0.0.0/8",
		func(value string) (err error) {
			o.hosts.Allowed, err = facts.ParseAllowedHosts(listed(value))
			return err
		})
	flags.IntVar(&o.workers, "workers", defaultWorkers, "number of ExposedServices that are worked on at once")
	o.prometheus.register(flags)
	o.xds.register(flags)
	flags.TextVar(&o.logLevel, "log-level", zapcore.InfoLevel, "debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", logFormatJSON, "json or console")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q: headgate takes only flags", flags.Arg(0))
	}
	if !slices.Contains([]string{logFormatJSON, logFormatConsole}, o.logFormat) {
		return options{}, fmt.Errorf("--log-format %q: must be json or console", o.logFormat)
	}
	if o.workers < 1 {
		return options{}, fmt.Errorf("--workers %d: must be at least 1", o.workers)
	}
	if err := o.prometheus.check(); err != nil {
		return options{}, err
	}
	if err := o.xds.check(); err != nil {
		return options{}, err
	}
	return o, nil
}

// listed are the entries of a list that is separated by commas.
func listed(value string) []string {
	var out []string
	for entry := range strings.SplitSeq(value, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// parseOverrideKinds reads a list of kinds. It is not nil.
func parseOverrideKinds(value string) ([]v1alpha1.OverrideKind, error) {
	out := []v1alpha1.OverrideKind{}
	for _, name := range listed(value) {
		kind := v1alpha1.OverrideKind(name)
		if known := gateway.OverrideKinds(); !slices.Contains(known, kind) {
			return nil, fmt.Errorf("%s is none of the kinds that can be overridden: %v", name, known)
		}
		out = append(out, kind)
	}
	return out, nil
}

// helpWanted: the flags have been printed, as asked.
func helpWanted(err error) bool { return errors.Is(err, flag.ErrHelp) }

// newLogger writes structured lines to standard error.
func (o options) newLogger() (logr.Logger, error) {
	config := zap.NewProductionConfig()
	config.Encoding = o.logFormat
	config.Level = zap.NewAtomicLevelAt(o.logLevel)
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncoderConfig.TimeKey = "time"
	config.DisableCaller = true
	// Every line is a decision: none may be left out.
	config.Sampling = nil
	logger, err := config.Build()
	if err != nil {
		return logr.Logger{}, fmt.Errorf("make the logger: %w", err)
	}
	return zapr.NewLogger(logger), nil
}
