// Package envoy gives tests a real Envoy: the program that HEADGATE_ENVOY names.
package envoy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	program = "HEADGATE_ENVOY"
	// stopTimeout is how long Envoy may take to end before it is killed.
	stopTimeout = 5 * time.Second
)

// Path is where Envoy is. It skips the test where there is none.
func Path(t testing.TB) string {
	t.Helper()
	path := os.Getenv(program)
	if path == "" {
		t.Skip("no Envoy: HEADGATE_ENVOY is not set; `make test-unit` sets it")
	}
	return path
}

// Validate has Envoy read a bootstrap as it would before it starts, and says what it has against it.
func Validate(t testing.TB, bootstrap *bootstrapv3.Bootstrap) {
	t.Helper()
	ValidateFile(t, Write(t, bootstrap))
}

// ValidateFile is Validate with a bootstrap in a file.
func ValidateFile(t testing.TB, bootstrap string) {
	t.Helper()
	path := Path(t)
	command := exec.CommandContext(t.Context(), path, "--mode", "validate", "--log-level", "error", "--config-path", bootstrap)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("Envoy refuses it: %v\n%s", err, output)
	}
}

// Write writes a bootstrap into a file that is removed with the test.
func Write(t testing.TB, bootstrap *bootstrapv3.Bootstrap) string {
	t.Helper()
	text, err := protojson.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Run starts Envoy, and ends it with the test. What it has to say is in the test's log.
func Run(t testing.TB, bootstrap *bootstrapv3.Bootstrap) {
	t.Helper()
	RunFile(t, Write(t, bootstrap))
}

// RunFile is Run with a bootstrap in a file.
func RunFile(t testing.TB, bootstrap string) {
	t.Helper()
	path := Path(t)
	var output bytes.Buffer
	command := exec.CommandContext(t.Context(), path,
		"--config-path", bootstrap, "--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning")
	command.Stdout, command.Stderr = &output, &output
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopTimeout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// The test's context has ended when this runs.
	t.Cleanup(func() {
		_ = command.Wait()
		if output.Len() > 0 {
			t.Logf("Envoy said:\n%s", &output)
		}
	})
}
