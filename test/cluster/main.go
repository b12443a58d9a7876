// Command cluster runs a real Kubernetes cluster of one node on a Linux machine, without Docker, for tests and demos.
//
// It builds Kubernetes, containerd, CoreDNS, Envoy Gateway and what else is needed from Go modules, and runs them in namespaces and a
// cgroup of their own. The README beside this file tells how, and what it can't do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error // nil if everything has been said
}

func (e exitError) Error() string { return fmt.Sprint(e.err) }
func (e exitError) Unwrap() error { return e.err }

// exitCode says what went wrong and returns the exit code for it.
func exitCode(err error, stderr io.Writer) int {
	exit, ok := errors.AsType[exitError](err)
	switch {
	case err == nil:
		return 0
	case !ok:
		exit = exitError{1, err}
	}
	if exit.err != nil {
		fmt.Fprintln(stderr, exit.err)
	}
	return exit.code
}
