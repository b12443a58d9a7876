package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Source is a tree of Headgate's sources.
type Source struct {
	// Name stands above its column.
	Name string
	// Folder is the root of the tree.
	Folder string
}

// Here is the tree that this program was built from.
func Here() Source {
	_, file, _, _ := runtime.Caller(0)
	folder := file
	for range len(strings.Split("test/bench/scale/rig/source.go", "/")) {
		folder = filepath.Dir(folder)
	}
	return Source{Name: "this tree", Folder: folder}
}

// Checkout puts a commit into a new worktree below a folder. The function that it returns removes the worktree.
func (s Source) Checkout(ctx context.Context, revision, folder string) (Source, func() error, error) {
	commit, err := s.git(ctx, "rev-parse", "--verify", "--short", revision+"^{commit}")
	if err != nil {
		return Source{}, nil, fmt.Errorf("find commit %s: %w", revision, err)
	}
	out := Source{Name: commit, Folder: filepath.Join(folder, "baseline")}
	if _, err := s.git(ctx, "worktree", "add", "--detach", out.Folder, commit); err != nil {
		return Source{}, nil, fmt.Errorf("make a worktree of %s: %w", commit, err)
	}
	remove := func() error {
		_, err := s.git(context.WithoutCancel(ctx), "worktree", "remove", "--force", out.Folder)
		return err
	}
	return out, remove, nil
}

func (s Source) git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", s.Folder}, args...)...)
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// Build builds the operator as images hold it, into a folder, and returns the file.
func (s Source) Build(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(folder, "headgate")
	// The flags are those with which the local cluster's images are built, so that nothing is compiled twice.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "./cmd/headgate")
	command.Dir = s.Folder
	command.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator of %s: %w\n%s", s.Name, err, out)
	}
	return binary, nil
}
