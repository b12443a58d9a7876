// Package timeline helps the tests of the deciders, which record what was decided line by line.
package timeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Compare compares a timeline with the one on record in testdata of the package under test. With
// update it is put on record instead.
func Compare(t testing.TB, name string, lines []string, update bool) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := strings.Join(lines, "\n") + "\n"
	if update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the timeline is not that of %s (go test with -update rewrites it):\n%s", path, got)
	}
}

// ThroughJSON is a status after it has been written and read, as after a restart. T is a test or a
// property's.
func ThroughJSON(t interface {
	Helper()
	Fatal(args ...any)
}, status v1alpha1.ExposedServiceStatus,
) v1alpha1.ExposedServiceStatus {
	t.Helper()
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var out v1alpha1.ExposedServiceStatus
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
