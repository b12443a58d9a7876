package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

func TestRender(t *testing.T) {
	out := filepath.Join(t.TempDir(), "api.md")
	if err := run(filepath.Join("testdata", "crd.yaml"), out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "api.md")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the page differs from %s (go test ./hack/apidocs -update writes it):\n%s", golden, got)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("kind: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, crd := range map[string]string{"no such file": filepath.Join(dir, "absent.yaml"), "not YAML": broken} {
		t.Run(name, func(t *testing.T) {
			if err := run(crd, filepath.Join(dir, "out.md")); err == nil {
				t.Error("no error")
			}
		})
	}
}
