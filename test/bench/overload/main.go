// Command overload measures what becomes of calls while backends die, are slow, or get more calls than they can carry: how many fail,
// how many are answered by the second, how often the backends are called for each call of a caller, and how soon all is well
// afterwards. It does so in each data plane, with each setting and in each scenario, and prints a table in Markdown.
//
// It runs in the network of a cluster with Envoy Gateway and Headgate; `make bench-overload` starts a local one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
)

// errUsage: the command line makes no sense.
var errUsage = errors.New("usage")

func main() {
	planesFlag := flag.String("planes", ".", "regular expression: which data planes")
	settingsFlag := flag.String("settings", "^(twice|once)$", "regular expression: which settings")
	scenariosFlag := flag.String("scenarios", ".", "regular expression: which scenarios")
	times := flag.Int("times", 1, "how often each scenario is measured")
	list := flag.Bool("list", false, "print the names of all data planes, settings and scenarios, and measure nothing")
	verbose := flag.Bool("v", false, "print the calls of each second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *planesFlag, *settingsFlag, *scenariosFlag, *list, *verbose, *times); err != nil {
		fmt.Fprintln(os.Stderr, "bench overload:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, planesFlag, settingsFlag, scenariosFlag string, list, verbose bool, times int) error {
	chosenPlanes, err := choose("planes", planesFlag, planes, func(p plane) string { return p.name })
	if err != nil {
		return err
	}
	chosenSettings, err := choose("settings", settingsFlag, settings, func(s setting) string { return s.name })
	if err != nil {
		return err
	}
	chosenScenarios, err := choose("scenarios", scenariosFlag, scenarios, func(s scenario) string { return s.name })
	if err != nil {
		return err
	}
	if list {
		printNames("data planes", chosenPlanes, func(p plane) (string, string) { return p.name, p.says })
		printNames("settings", chosenSettings, func(s setting) (string, string) { return s.name, s.says })
		printNames("scenarios", chosenScenarios, func(s scenario) (string, string) { return s.name, s.says })
		return nil
	}
	if times < 1 {
		return fmt.Errorf("%w: -times %d: give 1 or more", errUsage, times)
	}
	chosenScenarios = slices.Repeat(chosenScenarios, times)
	fmt.Println(header)
	for _, plane := range chosenPlanes {
		for _, setting := range chosenSettings {
			if err := measureAll(ctx, plane, setting, chosenScenarios, verbose); err != nil {
				return fmt.Errorf("%s, %s: %w", plane.name, setting.name, err)
			}
		}
	}
	return nil
}

// choose are those whose name the expression matches; at least one.
func choose[T any](flagName, expression string, all []T, name func(T) string) ([]T, error) {
	wanted, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%w: -%s: %w", errUsage, flagName, err)
	}
	var out []T
	for _, one := range all {
		if wanted.MatchString(name(one)) {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: -%s %q: no name matches; -list prints them", errUsage, flagName, expression)
	}
	return out, nil
}

func printNames[T any](what string, all []T, names func(T) (name, says string)) {
	fmt.Println(what + ":")
	for _, one := range all {
		name, says := names(one)
		fmt.Printf("  %-24s %s\n", name, says)
	}
}
