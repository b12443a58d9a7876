package faults

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// done are the figures of this run.
var done = &figures{counts: map[string]int{}, most: map[string]int{}}

// figures are counts, and largest values, by what they are of.
type figures struct {
	mu           sync.Mutex
	counts, most map[string]int
}

func (f *figures) add(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what] += n
}

func (f *figures) largest(what string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most[what] = max(f.most[what], n)
}

// String is a table, one figure in a line.
func (f *figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) == 0 {
		return ""
	}
	seed, _ := baseSeed()
	var out strings.Builder
	fmt.Fprintf(&out, "faults, seed %d:\n", seed)
	for _, what := range slices.Sorted(maps.Keys(f.counts)) {
		fmt.Fprintf(&out, "  %-48s %6d\n", what, f.counts[what])
	}
	for _, what := range slices.Sorted(maps.Keys(f.most)) {
		fmt.Fprintf(&out, "  %-48s %6d\n", "most "+what, f.most[what])
	}
	return out.String()
}

// figuresVariable names the environment variable with the file that the figures go to as well.
const figuresVariable = "HEADGATE_FAULTS_FIGURES"

// write prints the figures. `go test` shows what a package that has passed prints only with -v, hence the file.
func (f *figures) write() error {
	fmt.Print(f.String())
	if file := os.Getenv(figuresVariable); file != "" {
		return os.WriteFile(file, []byte(f.String()), 0o644)
	}
	return nil
}
