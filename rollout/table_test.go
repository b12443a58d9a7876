package rollout

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

// The table in the package's documentation is the one in the code: the same rows, in the same order.
func TestTransitionTableIsThatOfTheCode(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "//\ttransition       |")
	if !found {
		t.Fatal("the documentation has no table")
	}
	columns := regexp.MustCompile(`\s+\|\s+`)
	var documented []string
	for _, line := range strings.Split(table, "\n")[1:] {
		row, isRow := strings.CutPrefix(line, "//\t")
		if !isRow {
			break
		}
		cells := columns.Split(row, 4)
		if len(cells) != 4 || cells[3] == "" {
			t.Fatalf("not a row of four columns: %q", row)
		}
		documented = append(documented, strings.Join(cells[:3], " | "))
	}
	var coded []string
	for _, row := range transitions {
		var from []string
		for _, phase := range row.from {
			from = append(from, phaseName(phase))
		}
		coded = append(coded, strings.Join([]string{string(row.name), strings.Join(from, " "), phaseName(row.to)}, " | "))
	}
	if got, want := strings.Join(documented, "\n"), strings.Join(coded, "\n"); got != want {
		t.Errorf("documented:\n%s\n\nin the code:\n%s", got, want)
	}
}

func phaseName(phase v1alpha1.RolloutPhase) string {
	if phase == none {
		return "None"
	}
	return string(phase)
}
