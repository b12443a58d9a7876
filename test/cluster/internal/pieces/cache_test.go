package pieces

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// fake is a piece whose builds are counted, and fail with err.
type fake struct {
	builds int
	err    error
}

func (f *fake) piece() Piece {
	return Piece{Name: "fake", build: func(_ context.Context, source, out string) error {
		f.builds++
		content, err := os.ReadFile(filepath.Join(source, "source"))
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(filepath.Join(out, "result"), content, 0o644), f.err)
	}}
}

func newCache(t *testing.T, source string) Cache {
	t.Helper()
	cache := Cache{Root: t.TempDir(), Source: t.TempDir(), Progress: io.Discard}
	if err := os.Mkdir(filepath.Join(cache.Source, "fake"), 0o755); err != nil {
		t.Fatal(err)
	}
	setSource(t, cache, source)
	return cache
}

func setSource(t *testing.T, cache Cache, source string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cache.Source, "fake", "source"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBuildsOnceForEachSource(t *testing.T) {
	cache, f := newCache(t, "one"), &fake{}
	var folders []string
	for _, source := range []string{"one", "one", "two"} {
		setSource(t, cache, source)
		all, err := cache.Ensure(t.Context(), f.piece())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(all["fake"], "result")); err != nil || string(got) != source {
			t.Errorf("source %q: result is %q, %v", source, got, err)
		}
		folders = append(folders, all["fake"])
	}
	if f.builds != 2 {
		t.Errorf("%d builds of 2 sources", f.builds)
	}
	if _, err := os.Stat(folders[0]); err == nil {
		t.Error("the build of the first source is still there")
	}
}

func TestAFailedBuildLeavesNothingThatLooksBuilt(t *testing.T) {
	cache, f := newCache(t, "one"), &fake{err: errors.New("out of disk")}
	if _, err := cache.Ensure(t.Context(), f.piece()); !errors.Is(err, f.err) {
		t.Fatalf("got error %v, want %v", err, f.err)
	}
	f.err = nil
	if _, err := cache.Ensure(t.Context(), f.piece()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(cache.Root, "fake"))
	if err != nil {
		t.Fatal(err)
	}
	if f.builds != 2 || len(entries) != 1 {
		t.Errorf("%d builds and %d folders, want 2 and 1", f.builds, len(entries))
	}
}

func TestWhatAnInterruptedBuildLeftIsRemoved(t *testing.T) {
	cache, f := newCache(t, "one"), &fake{}
	leftover := filepath.Join(cache.Root, "fake", ".building-1")
	if err := os.MkdirAll(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Ensure(t.Context(), f.piece()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("it is still there")
	}
}
