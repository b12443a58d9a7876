package main

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/gateway"
)

func TestOptions(t *testing.T) {
	defaults := options{metricsAddress: ":8443", metricsSecure: true, probeAddress: ":8081", rollouts: true, workers: 4, logFormat: logFormatJSON, overrides: gateway.DefaultOverrides(), hosts: facts.HostPolicy{ClusterDomain: "cluster.local"}}
	with := func(f func(*options)) options {
		o := defaults
		f(&o)
		return o
	}
	for name, c := range map[string]struct {
		args []string
		want options
		err  string
	}{
		"defaults":        {want: defaults},
		"namespaces":      {args: []string{"--watch-namespace=shop, infra,"}, want: with(func(o *options) { o.watchNamespaces = []string{"shop", "infra"} })},
		"no namespaces":   {args: []string{"--watch-namespace="}, want: defaults},
		"leader election": {args: []string{"--leader-elect", "--leader-election-namespace=x"}, want: with(func(o *options) { o.leaderElect, o.leaderElectionNamespace = true, "x" })},
		"logging": {
			args: []string{"--log-level=debug", "--log-format=console"},
			want: with(func(o *options) { o.logLevel, o.logFormat = zapcore.DebugLevel, logFormatConsole }),
		},
		"plain metrics":     {args: []string{"--metrics-bind-address=:8080", "--metrics-secure=false"}, want: with(func(o *options) { o.metricsAddress, o.metricsSecure = ":8080", false })},
		"profiles":          {args: []string{"--pprof-bind-address=127.0.0.1:6060"}, want: with(func(o *options) { o.pprofAddress = "127.0.0.1:6060" })},
		"no rollouts":       {args: []string{"--rollouts=false"}, want: with(func(o *options) { o.rollouts = false })},
		"workers":           {args: []string{"--workers=16"}, want: with(func(o *options) { o.workers = 16 })},
		"overrides":         {args: []string{"--override-kinds=Gateway, GRPCRoute"}, want: with(func(o *options) { o.overrides = []v1alpha1.OverrideKind{"Gateway", "GRPCRoute"} })},
		"no overrides":      {args: []string{"--override-kinds="}, want: with(func(o *options) { o.overrides = []v1alpha1.OverrideKind{} })},
		"unknown overrides": {args: []string{"--override-kinds=Service"}, err: "Service is none of the kinds that can be overridden"},
		"hosts": {
			args: []string{"--cluster-domain=prod.example.com", "--fqdn-allow=*.svc.prod.example.com, 10.1.2.3/8"},
			want: with(func(o *options) {
				o.hosts = facts.HostPolicy{ClusterDomain: "prod.example.com", Allowed: facts.AllowedHosts{
					Names: []string{"*.svc.prod.example.com"}, Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				}}
			}),
		},
		"hosts that are none": {args: []string{"--fqdn-allow=https://a.example.com"}, err: "no DNS name, such as"},
		"host ownership":      {args: []string{"--hostname-ownership"}, want: with(func(o *options) { o.hostOwnership = true })},
		"no workers":          {args: []string{"--workers=0"}, err: "at least 1"},
		"an unknown level":    {args: []string{"--log-level=loud"}, err: "loud"},
		"an unknown format":   {args: []string{"--log-format=xml"}, err: "json or console"},
		"an argument":         {args: []string{"start"}, err: "only flags"},
		"an unknown flag":     {args: []string{"--verbose"}, err: "verbose"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseOptions(c.args, &bytes.Buffer{})
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error is %v, want one about %q", err, c.err)
			case c.err == "" && (err != nil || !reflect.DeepEqual(got, c.want)):
				t.Errorf("options are %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	var help bytes.Buffer
	if _, err := parseOptions([]string{"--help"}, &help); !helpWanted(err) || !strings.Contains(help.String(), "-watch-namespace") {
		t.Errorf("--help: %v %s", err, help.String())
	}
}
