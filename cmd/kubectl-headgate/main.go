// Kubectl-headgate is a plugin of kubectl: `kubectl headgate`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/pflag"
)

// version is set when a release is built.
var version = ""

const usage = `kubectl headgate connects clients to the xDS servers of Headgate.

Usage:
  kubectl headgate bootstrap envoy NAME [flags]   the files that an Envoy starts with
  kubectl headgate bootstrap grpc NAME [flags]    the bootstrap of a gRPC client (GRPC_XDS_BOOTSTRAP)
  kubectl headgate certificate SECRET [flags]     the certificate that either shows
  kubectl headgate version

NAME is that of an ExposedService with spec.xds. "kubectl headgate bootstrap envoy --help" says more.
`

// console is where a command speaks.
type console struct{ out, err io.Writer }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], console{os.Stdout, os.Stderr})
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run runs the command that the arguments name.
func run(ctx context.Context, arguments []string, console console) error {
	command := ""
	if len(arguments) > 0 {
		command = arguments[0]
	}
	switch command {
	case "bootstrap":
		return bootstrapCommand(ctx, arguments[1:], console)
	case "certificate":
		return certificateCommand(ctx, arguments[1:], console)
	case "version", "--version":
		fmt.Fprintln(console.out, versionText())
		return nil
	case "", "help", "-h", "--help":
		fmt.Fprint(console.out, usage)
		return nil
	}
	return fmt.Errorf("there is no command %q: see kubectl headgate --help", command)
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
