// Command greeter-load calls the greeter at a constant rate and counts every call.
// See package load for what is measured and how.
//
// It runs for -duration or until interrupted, waits for the calls in flight, prints a
// timeline and a summary, and exits with 0; with 1 when more calls failed than
// -max-failed allows; with 2 when it could not start.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/headgate/headgate/test/grpcapp/load"
)

const (
	exitFailedCalls = 1
	exitNoStart     = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	options, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "greeter-load: %v\n", err)
		return exitNoStart
	}
	run, err := load.Start(ctx, options.load)
	if err != nil {
		fmt.Fprintf(stderr, "greeter-load: %v\n", err)
		return exitNoStart
	}
	if options.live {
		watch(run, stderr)
	}
	report := run.Wait()
	if err := options.print(report, stdout); err != nil {
		fmt.Fprintf(stderr, "greeter-load: print the report: %v\n", err)
		return exitNoStart
	}
	if options.maxFailed >= 0 && report.Failed > options.maxFailed {
		return exitFailedCalls
	}
	return 0
}

func (o options) print(report load.Report, out io.Writer) error {
	if o.json {
		encoded, err := report.JSON(o.timeline)
		if err != nil {
			return err
		}
		_, err = out.Write(encoded)
		return err
	}
	text := report.Summary()
	if o.timeline > 0 {
		text = report.Timeline(o.timeline) + "\n" + text
	}
	_, err := io.WriteString(out, text)
	return err
}

// watch prints a line each second about the calls that ended in it, until the run ends.
// It goes to standard error: standard output is the report's.
func watch(run *load.Run, out io.Writer) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	live := newLive(out)
	for {
		select {
		case <-run.Done():
			return
		case <-ticker.C:
			live.print(run)
		}
	}
}
