package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/headgate/headgate/test/cluster/internal/environment"
	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// command is one subcommand.
type command struct {
	name    string
	args    string // as shown in its usage
	summary string // one line
	help    string // what to know beyond that
	hidden  bool   // run by this program itself only
	flags   func(*flag.FlagSet)
	// needs is how many arguments it takes: exactly, or at least if atLeast.
	needs   int
	atLeast bool
	run     func(ctx context.Context, s session, args []string) error
}

// session is what a command works with.
type session struct {
	cluster layout.Cluster
	// out is for the result, log for what people may want to know besides.
	out, log io.Writer
}

const nameVariable = environment.ClusterVariable

func commands() []command {
	return []command{
		upCommand(), downCommand(), statusCommand(), loadCommand(), prometheusCommand(), metricsServerCommand(), peerCommand(), execCommand(),
		kubeconfigCommand(), restartCommand(), buildCommand(), assetsCommand(), binCommand(), checkCommand(),
		superviseCommand(), initCommand(), probeCommand(),
	}
}

// run runs the command that the arguments name.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 {
		printUsage(log)
		return exitError{code: 2}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		printUsage(out)
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.execute(ctx, args[1:], out, log)
		}
	}
	return exitError{2, fmt.Errorf("there is no command %q; --help lists them", args[0])}
}

func (c command) execute(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors and help are printed once, below
	name := flags.String("name", cmp.Or(os.Getenv(nameVariable), "headgate"), "the cluster's `name` (environment: "+nameVariable+")")
	if c.flags != nil {
		c.flags(flags)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		c.printHelp(out, flags)
		return nil
	} else if err != nil {
		return exitError{2, fmt.Errorf("%s: %w; --help lists the flags", c.name, err)}
	}
	if n := flags.NArg(); n < c.needs || n > c.needs && !c.atLeast {
		return exitError{2, fmt.Errorf("usage: %s", c.usage())}
	}
	cluster, err := layout.Find(*name)
	if err != nil {
		return exitError{2, err}
	}
	return c.run(ctx, session{cluster: cluster, out: out, log: log}, flags.Args())
}

func (c command) usage() string {
	return strings.TrimSpace("cluster " + c.name + " [flags] " + c.args)
}

func (c command) printHelp(to io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(to, "%s\n\n%s\n\nUsage:\n  %s\n\nFlags:\n", c.summary, strings.TrimSpace(c.help), c.usage())
	flags.SetOutput(to)
	flags.PrintDefaults()
}

func printUsage(to io.Writer) {
	fmt.Fprint(to, "A real Kubernetes cluster of one node, without Docker, for tests and demos.\n\nUsage:\n  cluster COMMAND [flags]\n\nCommands:\n")
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(to, "  %-14s %s\n", c.name, c.summary)
		}
	}
	fmt.Fprintf(to, "\nEvery command takes --name (environment: %s), \"headgate\" by default, and --help.\n", nameVariable)
}
