package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`; `go doc test2json` describes it.
type event struct {
	Action  string `json:"Action"`
	Package string `json:"Package"`
	Test    string `json:"Test"`
	Output  string `json:"Output"`
}

// result is what became of one test, or of one package where the test's name is empty.
type result struct {
	action string   // the last of run, pass, fail and skip
	reason string   // the last line that the test wrote before it was skipped
	said   []string // the first lines that it wrote, for when it failed
}

const (
	// mostSaid is how many lines of a failed test are kept, and longestSaid how many bytes of each.
	mostSaid    = 20
	longestSaid = 400
)

// key names a test of a package.
type key struct{ pkg, test string }

// run is one run of tests.
type run map[key]result

func decode(source io.Reader) (run, error) {
	results := run{}
	lines := bufio.NewScanner(source)
	lines.Buffer(nil, 16<<20) // a line can hold a whole diff
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("decode %q: %w", lines.Text(), err)
		}
		name := key{e.Package, e.Test}
		current := results[name]
		switch e.Action {
		case "run", "pass", "fail", "skip":
			current.action = e.Action
		case "output":
			if text := message(e.Output); text != "" && e.Test != "" {
				current.reason = text
			}
			current.said = keep(current.said, e.Output)
		default:
			continue
		}
		results[name] = current
	}
	return results, lines.Err()
}

// keep adds a line of a test or of a package to those that were kept, if it is one of the first and not of the test runner.
func keep(said []string, line string) []string {
	line = strings.TrimRight(line, "\n")
	if len(said) == mostSaid || message(line) == "" {
		return said
	}
	if len(line) > longestSaid {
		line = line[:longestSaid] + "…"
	}
	return append(said, line)
}

// message is a line that a test wrote itself, and nothing for the lines of the test runner.
func message(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
		return ""
	}
	// t.Skip writes "file.go:12: reason".
	if file, text, found := strings.Cut(line, ": "); found && strings.Contains(file, ".go:") {
		return text
	}
	return line
}

// total is the sum of runs.
type total struct {
	passed, failed, skipped int
	failures, skips         []string
	// said is what the failed tests wrote, by the lines of failures.
	said map[string][]string
}

// count adds up runs. A test with subtests counts as its subtests; it counts itself only if it
// failed although none of them did. A package counts only if it failed and no test in it did, as it
// does when it cannot be built. A test that never ended has failed.
func count(runs []run) total {
	sum := total{said: map[string][]string{}}
	for _, results := range runs {
		parents, failed := relations(results)
		for _, name := range slices.SortedFunc(maps.Keys(results), compare) {
			outcome := results[name]
			label := strings.TrimSpace(name.pkg + " " + name.test)
			bad := outcome.action == "fail" || outcome.action == "run"
			switch {
			case bad && !failed[name]:
				sum.failed++
				sum.failures = append(sum.failures, label)
				sum.said[label] = outcome.said
			case name.test == "" || parents[name]:
			case outcome.action == "pass":
				sum.passed++
			case outcome.action == "skip":
				sum.skipped++
				sum.skips = append(sum.skips, label+": "+outcome.reason)
			}
		}
	}
	return sum
}

// relations says which tests and packages have others in them, and which have a failed one.
func relations(results run) (parents, failed map[key]bool) {
	parents, failed = map[key]bool{}, map[key]bool{}
	for name, outcome := range results {
		for parent := name; parent.test != ""; {
			last := max(strings.LastIndex(parent.test, "/"), 0)
			parent.test = parent.test[:last]
			parents[parent] = true
			if outcome.action == "fail" || outcome.action == "run" {
				failed[parent] = true
			}
		}
	}
	return parents, failed
}

func compare(a, b key) int {
	if order := strings.Compare(a.pkg, b.pkg); order != 0 {
		return order
	}
	return strings.Compare(a.test, b.test)
}

func (t total) String() string {
	text := &strings.Builder{}
	for _, skip := range t.skips {
		fmt.Fprintln(text, "skipped:", skip)
	}
	for _, failure := range t.failures {
		fmt.Fprintln(text, "failed:", failure)
		for _, line := range t.said[failure] {
			fmt.Fprintln(text, "  "+line)
		}
	}
	fmt.Fprintf(text, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	return text.String()
}
