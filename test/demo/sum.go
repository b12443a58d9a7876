package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// sumUp prints every step's count, and how to look around.
func (d *demo) sumUp(inside string) error {
	fmt.Printf("\n\033[1mIn all\033[0m\n")
	failed := 0
	for _, result := range d.results {
		say("failed: %3d of %-6d  longest gap %4d ms   %s", result.failed, result.total, result.gap.Milliseconds(), result.title)
		if result.excused > 0 {
			say("        %3d of them %s", result.excused, result.why)
		}
		failed += result.failed - result.excused
	}
	down := "make demo-down CLUSTER=current"
	if inside != "" {
		inside += " "
		down = "make demo-down"
	}
	fmt.Printf("\n\033[1mLook around\033[0m\n")
	for _, hint := range []string{
		"kubectl get exs -A -o wide",
		"kubectl describe exs -n " + d.exs.Namespace + " " + d.exs.Name,
		"kubectl get events -n " + d.exs.Namespace + " --field-selector involvedObject.name=" + d.exs.Name,
		"kubectl get gateway,grpcroute,backendtrafficpolicy,envoypatchpolicy,svc -n " + d.exs.Namespace,
		"kubectl explain exs.spec.traffic",
	} {
		say("%s%s", inside, hint)
	}
	say("%s    ends it and leaves nothing behind", down)
	if failed > 0 {
		return fmt.Errorf("%w: %d", errFailedCalls, failed)
	}
	return nil
}

func sorted(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }

func codesOf(report load.Report) string {
	var words []string
	for code := range report.ByCode {
		words = append(words, strings.ToUpper(code.String()))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
