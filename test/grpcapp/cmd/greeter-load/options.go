package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/headgate/headgate/test/grpcapp/load"
)

type options struct {
	load      load.Config
	live      bool
	json      bool
	timeline  time.Duration
	maxFailed int
}

// tlsOptions are the flags that only mean something together.
type tlsOptions struct {
	enabled, insecure  bool
	caFile, serverName string
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	parsed := options{load: load.Config{Metadata: metadata.MD{}}}
	var encryption tlsOptions
	var method string
	flags := flag.NewFlagSet("greeter-load", flag.ContinueOnError)
	flags.SetOutput(usage)

	flags.StringVar(&parsed.load.Target, "target", "127.0.0.1:50051", "gRPC `target`: host:port or scheme:///…")
	flags.Float64Var(&parsed.load.Rate, "rate", 100, "`calls` per second")
	flags.DurationVar(&parsed.load.Duration, "duration", 0, "how `long` calls are started; 0 means until interrupted")
	flags.StringVar(&method, "method", "unary", "unary or stream")
	flags.IntVar(&parsed.load.Messages, "messages", 0, "replies of each stream; 0 means 5")
	flags.DurationVar(&parsed.load.Interval, "interval", 0, "`pause` between two replies of a stream")
	flags.StringVar(&parsed.load.Name, "name", "", "`name` to greet; empty means load")
	flags.DurationVar(&parsed.load.Timeout, "timeout", 0, "`deadline` of each call; 0 means 2s, for streams on top of their intervals")
	flags.IntVar(&parsed.load.Connections, "connections", 0, "connections that take turns; 0 means 4")
	flags.BoolVar(&parsed.load.WaitForReady, "wait-for-ready", false, "let calls wait for a connection until their deadline")
	flags.StringVar(&parsed.load.ServiceConfig, "service-config", "", "gRPC service config as `JSON`")
	flags.BoolVar(&parsed.load.Retry, "retry", false, "permit the retries of -service-config")
	flags.DurationVar(&parsed.load.MaxBackoff, "max-backoff", 0, "longest `pause` between attempts to connect; 0 means 1s")
	flags.StringVar(&parsed.load.Authority, "authority", "", "`authority` in place of the target's")
	flags.Func("header", "metadata to send, as `name=value`; may be repeated", func(text string) error {
		return addHeader(parsed.load.Metadata, text)
	})
	flags.BoolVar(&encryption.enabled, "tls", false, "connect with TLS")
	flags.StringVar(&encryption.caFile, "tls-ca", "", "PEM `file` of the CA certificates; empty means the system's")
	flags.StringVar(&encryption.serverName, "tls-server-name", "", "`name` that the server's certificate must have")
	flags.BoolVar(&encryption.insecure, "tls-insecure", false, "accept any certificate")
	flags.Func("group", "show groups of pods: deployment, or `prefix=group,…`", func(text string) error {
		var err error
		parsed.load.Group, err = parseGroup(text)
		return err
	})
	flags.BoolVar(&parsed.live, "live", false, "print a line each second to standard error")
	flags.DurationVar(&parsed.timeline, "timeline", time.Second, "`interval` of the timeline; 0 prints none")
	flags.BoolVar(&parsed.json, "json", false, "print the report as JSON")
	flags.IntVar(&parsed.maxFailed, "max-failed", -1, "exit with 1 when more `calls` failed; -1 never does")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("argument %q is not known: give flags only", flags.Arg(0))
	}
	var err error
	if parsed.load.Method, err = parseMethod(method); err != nil {
		return options{}, err
	}
	parsed.load.TLS, err = encryption.config()
	return parsed, err
}

func parseMethod(text string) (load.Method, error) {
	switch text {
	case "unary":
		return load.Unary, nil
	case "stream":
		return load.Stream, nil
	default:
		return "", fmt.Errorf("-method is %q: give unary or stream", text)
	}
}

func addHeader(headers metadata.MD, text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found || name == "" {
		return errors.New("give name=value")
	}
	headers.Append(name, value)
	return nil
}

func parseGroup(text string) (func(string) string, error) {
	if text == "deployment" {
		return load.GroupByDeployment, nil
	}
	groups := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		prefix, group, found := strings.Cut(pair, "=")
		if !found || prefix == "" || group == "" {
			return nil, errors.New("give deployment or prefix=group,prefix=group")
		}
		groups[prefix] = group
	}
	return load.GroupByPrefix(groups), nil
}

// config is nil for plaintext.
func (t tlsOptions) config() (*tls.Config, error) {
	if !t.enabled {
		if t.caFile != "" || t.serverName != "" || t.insecure {
			return nil, errors.New("-tls-ca, -tls-server-name and -tls-insecure mean nothing without -tls: add it")
		}
		return nil, nil
	}
	config, err := load.TLSConfig(t.caFile, t.serverName)
	if err != nil {
		return nil, err
	}
	config.InsecureSkipVerify = t.insecure
	return config, nil
}
