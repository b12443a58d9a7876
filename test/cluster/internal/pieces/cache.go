package pieces

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/headgate/headgate/test/cluster/internal/filelock"
)

// Cache holds built pieces: <root>/<piece>/<key>/…. A folder with a key as its name is always whole.
type Cache struct {
	// Root is the cache's folder.
	Root string
	// Source is the folder test/cluster/pieces.
	Source string
	// Progress is told what is being built, and how long it took.
	Progress io.Writer
}

// Ensure builds the pieces that are not built yet and returns the folder of each, by name.
func (c Cache) Ensure(ctx context.Context, all ...Piece) (map[string]string, error) {
	toolchain, err := runGo(ctx, c.Source, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return nil, fmt.Errorf("ask the Go toolchain for its version: %w", err)
	}
	folders, missing := map[string]string{}, []Piece{}
	for _, piece := range all {
		key, err := piece.key(filepath.Join(c.Source, piece.Name), toolchain)
		if err != nil {
			return nil, err
		}
		folders[piece.Name] = filepath.Join(c.Root, piece.Name, key)
		if !exists(folders[piece.Name]) {
			missing = append(missing, piece)
		}
	}
	for i, piece := range missing {
		report := startProgress(c.Progress, fmt.Sprintf("[%d/%d] %s", i+1, len(missing), piece.Name))
		built, err := c.ensure(ctx, piece, folders[piece.Name], report)
		report.end(built, err)
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", piece.Name, err)
		}
	}
	return folders, nil
}

// ensure builds one piece into its folder, unless another run does so first.
func (c Cache) ensure(ctx context.Context, piece Piece, folder string, report *progress) (built bool, err error) {
	lock, err := filelock.Acquire(ctx, filepath.Join(c.Root, piece.Name+".lock"), func() { report.say("another run is building it: waiting") })
	if err != nil {
		return false, err
	}
	defer lock.Release()
	if exists(folder) {
		return false, nil
	}
	home := filepath.Dir(folder)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return false, err
	}
	temp, err := os.MkdirTemp(home, ".building-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already if all went well
	if err := os.Chmod(temp, 0o755); err != nil {
		return false, err
	}
	if err := piece.build(ctx, filepath.Join(c.Source, piece.Name), temp); err != nil {
		return false, err
	}
	if err := os.Rename(temp, folder); err != nil {
		return false, err
	}
	return true, c.prune(folder)
}

// prune removes what is beside the folder: the piece's older builds, and what an interrupted one left.
// A running cluster is not harmed, it has links of its own to all that it runs.
func (c Cache) prune(keep string) error {
	home := filepath.Dir(keep)
	entries, err := os.ReadDir(home)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == filepath.Base(keep) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(home, entry.Name())); err != nil {
			return fmt.Errorf("remove an old build: %w", err)
		}
	}
	return nil
}

// Names lists pieces for people.
func Names(all []Piece) string {
	names := make([]string, len(all))
	for i, piece := range all {
		names[i] = piece.Name
	}
	return strings.Join(names, ", ")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
