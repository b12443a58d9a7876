package pieces

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// SourceFolder finds test/cluster/pieces: where this program was compiled from, or else upwards from the working directory.
// (The folders there are modules of their own, so they can't be embedded into the program.)
func SourceFolder() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok {
		if dir := filepath.Join(filepath.Dir(file), "..", "..", "pieces"); isSourceFolder(dir) {
			return filepath.Clean(dir), nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if candidate := filepath.Join(dir, "test", "cluster", "pieces"); isSourceFolder(candidate) {
			return candidate, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the sources of what a cluster is built from are not found: run this inside a checkout of Headgate")
		}
		dir = parent
	}
}

func isSourceFolder(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "kubernetes", "go.mod"))
	return err == nil
}
