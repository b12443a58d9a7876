package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/filelock"
	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/layout"
)

func loadCommand() command {
	var entrypoint, user string
	return command{
		name:    "load",
		args:    "IMAGE SOURCE",
		summary: "Make an image from a Go program or a folder, and load it into the cluster.",
		help: `
IMAGE is the image's name with its tag, as pods will use it; their imagePullPolicy must not be Always.
SOURCE is one of
- a Go package with a main function, as ./cmd/headgate: it is built in its module, without cgo and workspace, and is the image's only file and
  its entrypoint, /NAME, with the package folder's name;
- a folder without Go files: its files become the image's, with the folder as the root.
Nothing is done if the image of that name has the same content already. Pods that run take up a new image when they are restarted.`,
		flags: func(flags *flag.FlagSet) {
			flags.StringVar(&entrypoint, "entrypoint", "", "the `path` in the image of the program to run (for a folder)")
			flags.StringVar(&user, "user", "65532", "the `uid` that the program runs as")
		},
		needs: 2,
		run: func(ctx context.Context, s session, args []string) error {
			if err := checkImageName(args[0]); err != nil {
				return exitError{2, err}
			}
			if _, running := s.cluster.InitPID(); !running {
				return notRunning(s.cluster)
			}
			return load(ctx, s, image.Image{Name: args[0], User: user}, args[1], entrypoint)
		},
	}
}

// load completes an image with what the source has, and loads it. An empty entrypoint is that of the source.
func load(ctx context.Context, s session, content image.Image, source, entrypoint string) error {
	began := time.Now()
	folder, err := programFolder(s.cluster, source)
	if err != nil {
		return err
	}
	lock, err := filelock.Acquire(ctx, folder+".lock", nil)
	if err != nil {
		return err
	}
	defer lock.Release()
	var program string
	content.Files, program, err = collect(ctx, source, folder)
	if err != nil {
		return err
	}
	if run := cmp.Or(entrypoint, program); run != "" {
		content.Entrypoint = []string{run}
	}
	imported, err := addons.LoadImage(ctx, s.cluster, content)
	if err != nil {
		return err
	}
	s.sayLoaded(content.Name, imported, time.Since(began))
	return nil
}

// programFolder is where the program of a source is built. It stays, because go does not link again what is there and has not changed.
func programFolder(cluster layout.Cluster, source string) (string, error) {
	path, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	folder := cluster.Path("programs", fmt.Sprintf("%x", sha256.Sum256([]byte(path)))[:16])
	return folder, os.MkdirAll(folder, 0o755)
}

func (s session) sayLoaded(image string, imported bool, took time.Duration) {
	how := "unchanged"
	if imported {
		how = "loaded"
	}
	fmt.Fprintf(s.log, "%s: %s (%.1f s)\n", image, how, took.Seconds())
}

// collect returns the files of a source, and the path in the image of its program if it is a Go package. That is built into the folder.
func collect(ctx context.Context, source, folder string) (files []image.File, program string, err error) {
	if isFilesFolder(source) {
		files, err = image.Folder(source)
		return files, "", err
	}
	built, err := buildProgram(ctx, source, folder)
	if err != nil {
		return nil, "", err
	}
	program = path.Join("/", filepath.Base(built))
	return []image.File{{From: built, To: program}}, program, nil
}

// checkImageName: without a tag pods would take the image for :latest and ask a registry, and a digest can't be chosen.
func checkImageName(name string) error {
	if strings.Contains(name, "@") || !strings.Contains(path.Base(name), ":") {
		return fmt.Errorf("image %q: want a name with a tag, as example.test/app:dev", name)
	}
	return nil
}

// isFilesFolder reports whether a source is a folder of files for an image. If not, it is a Go package, or go build will tell what it is not.
func isFilesFolder(source string) bool {
	entries, err := os.ReadDir(source)
	return err == nil && !slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return filepath.Ext(entry.Name()) == ".go" })
}

// buildProgram builds a Go package into an empty folder, and returns the file.
func buildProgram(ctx context.Context, pkg, folder string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", folder+string(filepath.Separator))
	// As the module's own go.mod has it, whatever workspace or flags there are around it.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if info, err := os.Stat(pkg); err == nil && info.IsDir() {
		cmd.Dir = pkg // it may be in a module below that of the working directory
	} else {
		cmd.Args = append(cmd.Args, pkg)
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, bytes.TrimSpace(output))
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%s is not one program: name a package with a main function", pkg)
	}
	return filepath.Join(folder, entries[0].Name()), nil
}
