package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/headgate/headgate/controllers/calls"
)

// flagPrometheus names a Prometheus server of the platform.
const flagPrometheus = "prometheus"

// defaultNamespaceLabel is the label with the namespace of a series, as Prometheus's own discovery of pods is mostly configured.
const defaultNamespaceLabel = "namespace"

// maxServerName is what prometheus.server of an ExposedService takes.
const maxServerName = 63

var (
	serverName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	// labelName is that of a label of series. Those that begin with two underscores are Prometheus's own.
	labelName = regexp.MustCompile(`^(_?[a-zA-Z][a-zA-Z0-9_]*)$`)
)

// prometheusOptions are the flags about Prometheus servers.
type prometheusOptions struct {
	calls.ServersConfig

	// texts are the servers as they were given.
	texts []string
}

// register adds the flags to a set.
func (o *prometheusOptions) register(flags *flag.FlagSet) {
	flags.Func(flagPrometheus,
		"Prometheus server that ExposedServices may have asked by its name, as name=url; each reads only series of its own namespace there. May be "+
			"followed by ,label=<label of series with their namespace> (default "+defaultNamespaceLabel+"), ,token-file=<file with a bearer token>, "+
			"for https:// only, and ,ca-file=<PEM file with authorities>. For several servers, give the flag several times (default: none)",
		func(value string) error {
			o.texts = append(o.texts, value)
			return nil
		})
	flags.BoolVar(&o.Addresses, "prometheus-addresses", false,
		"let ExposedServices name addresses of Prometheus servers as well; they read there what the server shows to anybody who reaches it from this pod")
}

// check reads the servers. That is not left to the flag set, whose errors repeat the value, and with it a password in it.
func (o *prometheusOptions) check() error {
	for _, text := range o.texts {
		server, err := parseServer(text)
		if err != nil {
			return fmt.Errorf("--%s: %w", flagPrometheus, err)
		}
		if slices.ContainsFunc(o.Named, func(other calls.Server) bool { return other.Name == server.Name }) {
			return fmt.Errorf("--%s: there are two servers named %s: give each a name of its own", flagPrometheus, server.Name)
		}
		o.Named = append(o.Named, server)
	}
	return nil
}

// parseServer reads name=url,setting=value,...
func parseServer(text string) (calls.Server, error) {
	parts := strings.Split(text, ",")
	name, address, ok := strings.Cut(parts[0], "=")
	switch {
	case !ok || strings.Contains(name, "/"):
		return calls.Server{}, errors.New("it has no name: write name=url, such as metrics=https://prometheus.monitoring:9090")
	case !serverName.MatchString(name) || len(name) > maxServerName:
		return calls.Server{}, fmt.Errorf("%q is no name of a server: write lower-case letters, digits and hyphens, at most %d of them", name, maxServerName)
	}
	out := calls.Server{Name: name, Address: address, Label: defaultNamespaceLabel}
	given := map[string]bool{}
	for _, part := range parts[1:] {
		setting, value, _ := strings.Cut(part, "=")
		into, known := map[string]*string{"label": &out.Label, "token-file": &out.TokenFile, "ca-file": &out.CAFile}[setting]
		switch {
		case !known:
			return calls.Server{}, fmt.Errorf("server %s: %q is no setting: set label, token-file or ca-file, and write a comma in the URL as %%2C", name, part)
		case value == "":
			return calls.Server{}, fmt.Errorf("server %s: %s has no value: write %s=..., or leave it out", name, setting, setting)
		case given[setting]:
			return calls.Server{}, fmt.Errorf("server %s: %s is set twice: leave one out", name, setting)
		}
		*into, given[setting] = value, true
	}
	if err := checkServer(out); err != nil {
		return calls.Server{}, fmt.Errorf("server %s: %w", name, err)
	}
	return out, nil
}

// checkServer says what is wrong with a server's address and settings.
func checkServer(server calls.Server) error {
	address, err := url.Parse(server.Address)
	switch {
	case err != nil, address.Host == "", address.Scheme != "http" && address.Scheme != "https":
		// The address is not repeated: there may be a password in it.
		return errors.New("the address is no URL that starts with http:// or https://: write one such as https://prometheus.monitoring:9090")
	case address.User != nil:
		return errors.New("the address has a user or password in it: put a bearer token into a file, and name that by token-file")
	case server.TokenFile != "" && address.Scheme != "https":
		return errors.New("token-file needs an https:// address, so that nobody on the way reads the token: set such an address, or leave token-file out")
	case server.CAFile != "" && address.Scheme != "https":
		return errors.New("ca-file needs an https:// address: set one, or leave ca-file out")
	case !labelName.MatchString(server.Label):
		return fmt.Errorf("label %q is no name of a label: write letters, digits and underscores, such as namespace", server.Label)
	}
	return nil
}
