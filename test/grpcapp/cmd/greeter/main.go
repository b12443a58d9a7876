// Command greeter is the sample gRPC application of Headgate's tests and examples.
// See package server for its services, metrics and control endpoint.
//
// POD_NAME and VERSION in the environment are the defaults of -pod and -version;
// without either, the pod is the host name.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"google.golang.org/grpc/codes"

	"github.com/headgate/headgate/test/grpcapp/server"
)

func main() {
	if err := run(); err != nil {
		slog.Error("greeter failed", "error", err)
		os.Exit(1)
	}
}

func run() error {
	options, err := parseOptions(os.Args[1:])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	grpcListener, err := net.Listen("tcp", options.grpcAddress)
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	httpListener, err := net.Listen("tcp", options.httpAddress)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	slog.Info("serving", "pod", options.server.Pod, "version", options.server.Version,
		"grpc", grpcListener.Addr(), "http", httpListener.Addr())
	greeter := server.New(options.server)
	if options.errors.Share != 0 {
		if err := greeter.SetErrors(options.errors, 0); err != nil {
			return fmt.Errorf("-error-share and -error-code: %w", err)
		}
	}
	if options.latency.Mean != 0 {
		if err := greeter.SetLatency(options.latency, 0); err != nil {
			return fmt.Errorf("-latency and -latency-stddev: %w", err)
		}
	}
	return greeter.Serve(ctx, grpcListener, httpListener)
}

type options struct {
	grpcAddress, httpAddress string
	server                   server.Config
	// errors is the fault that it starts with, as a bad version of an application does.
	errors server.ErrorFault
	// latency is what its calls take from the start, as those of a slow version do.
	latency server.LogNormal
}

func parseOptions(args []string) (options, error) {
	var parsed options
	var certificate, key string
	flags := flag.NewFlagSet("greeter", flag.ExitOnError)
	flags.StringVar(&parsed.grpcAddress, "grpc-address", ":50051", "`host:port` of the gRPC services")
	flags.StringVar(&parsed.httpAddress, "http-address", ":8080", "`host:port` of metrics and control")
	flags.StringVar(&parsed.server.Pod, "pod", podName(), "`name` that answers carry")
	flags.StringVar(&parsed.server.Version, "version", os.Getenv("VERSION"), "application `version` that answers carry")
	flags.Uint64Var(&parsed.server.Seed, "seed", 0, "`seed` of the drawn errors and latencies; 0 takes a random one")
	flags.DurationVar(&parsed.server.DrainDelay, "drain-delay", 0,
		"on SIGTERM, how `long` to stay up, not ready, before refusing calls")
	flags.DurationVar(&parsed.server.GraceTimeout, "grace-timeout", 0,
		"how `long` calls in flight may finish after the drain delay; 0 means 20s")
	flags.BoolVar(&parsed.server.StopAtOnce, "stop-at-once", false, "on SIGTERM, exit without finishing calls in flight")
	flags.Float64Var(&parsed.errors.Share, "error-share", 0, "`share` of the calls that fail from the start, 0 to 1")
	parsed.errors.Code = codes.Unavailable
	flags.Func("error-code", "gRPC status `code` of those, such as INTERNAL (default UNAVAILABLE)", func(name string) error {
		return parsed.errors.Code.UnmarshalJSON([]byte(strconv.Quote(name)))
	})
	flags.DurationVar(&parsed.latency.Mean, "latency", 0, "how `long` calls take on average from the start, by a log-normal distribution; 0 adds nothing")
	flags.DurationVar(&parsed.latency.StdDev, "latency-stddev", 0, "standard `deviation` of that")
	flags.DurationVar(&parsed.server.Work, "work", 0, "processor `time` that each call takes")
	flags.StringVar(&certificate, "tls-cert", "", "PEM `file` of the certificate chain; with -tls-key, gRPC is served over TLS")
	flags.StringVar(&key, "tls-key", "", "PEM `file` of the private key")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("argument %q is not known: give flags only", flags.Arg(0))
	}
	if certificate == "" && key == "" {
		return parsed, nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return options{}, fmt.Errorf("load the certificate (give both -tls-cert and -tls-key): %w", err)
	}
	parsed.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	return parsed, nil
}

func podName() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
