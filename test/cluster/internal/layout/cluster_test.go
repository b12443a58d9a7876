package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for name, valid := range map[string]bool{
		"headgate": true, "a": true, "a-1": true, strings.Repeat("a", 32): true,
		"": false, "-a": false, "a-": false, "A": false, "a.b": false, "../a": false, "a/b": false, strings.Repeat("a", 33): false,
	} {
		if _, err := Find(name); (err == nil) != valid {
			t.Errorf("%q: got error %v, want it valid: %v", name, err, valid)
		}
	}
}

func TestAProcessThatIsNotInTheClusterIsNotItsProcess1(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cluster, err := Find("no-such-cluster")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cluster.State, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := cluster.WriteInitPID(os.Getpid()); err != nil { // a number that is used again
		t.Fatal(err)
	}
	if pid, running := cluster.InitPID(); running {
		t.Errorf("process %d is taken for the cluster's", pid)
	}
	leftovers, err := filepath.Glob(cluster.Path(".*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("writing left %v, %v", leftovers, err)
	}
}
