package hack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironment: each variable that the user may have set, and what the scripts make of it.
func TestEnvironment(t *testing.T) {
	const gone = "<gone>"
	checkout := checkoutIn(t, t.TempDir())
	inCheckout := filepath.Join(checkout, ".cache", "home")
	usable := t.TempDir()
	for _, test := range []struct {
		name, outside, want string
		current             bool // on kubectl's cluster
	}{
		{name: "CDPATH", outside: "/tmp", want: gone},
		{name: "GOWORK", outside: "/home/me/go.work", want: "off"},
		{name: "GO111MODULE", outside: "off", want: gone},
		{name: "GOFLAGS", outside: "-mod=vendor -tags=mine -race -json", want: "-buildvcs=false"},
		{name: "GOFLAGS", outside: "-p=1 -buildvcs=true -modcacherw", want: "-p=1 -modcacherw -buildvcs=false"},
		{name: "HOME", outside: usable, want: usable},
		{name: "HOME", outside: "/proc", want: inCheckout},
		{name: "HOME", outside: "/no/such/folder", want: inCheckout},
		{name: "HOME", outside: "relative", want: inCheckout},
		{name: "HOME", outside: "", want: inCheckout},
		{name: "XDG_CACHE_HOME", outside: usable, want: usable},
		{name: "XDG_CACHE_HOME", outside: "/proc", want: gone},
		{name: "XDG_CACHE_HOME", outside: "relative", want: gone},
		{name: "XDG_CONFIG_HOME", outside: "/proc", want: "/proc"}, // nothing is written there
		{name: "TMPDIR", outside: usable, want: usable},
		{name: "TMPDIR", outside: "/no/such/folder", want: gone},
		{name: "USE_EXISTING_CLUSTER", outside: "true", want: gone},
		{name: "KUBECONFIG", outside: "/home/me/.kube/config", want: gone},
		{name: "KUBECONFIG", outside: "/home/me/.kube/config", want: "/home/me/.kube/config", current: true},
		{name: "HELM_NAMESPACE", outside: "mine", want: gone},
		{name: "HELM_NAMESPACE", outside: "mine", want: "mine", current: true},
		{name: "HELM_KUBECONTEXT", outside: "production", want: gone},
		{name: "HELM_DRIVER", outside: "sql", want: gone},
		{name: "GATEWAY_CLASS", outside: "mine", want: gone},
		{name: "GATEWAY_CLASS", outside: "mine", want: "mine", current: true},
		{name: "ENVOY_IMAGE", outside: "registry.example.com/envoy:1", want: gone},
		{name: "ENVOY_IMAGE", outside: "registry.example.com/envoy:1", want: "registry.example.com/envoy:1", current: true},
		// Modules are fetched by way of the user's proxy.
		{name: "HTTPS_PROXY", outside: "http://192.0.2.1:3128", want: "http://192.0.2.1:3128"},
	} {
		t.Run(test.name+"="+strings.ReplaceAll(test.outside, "/", "_"), func(t *testing.T) {
			environment := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + usable, test.name + "=" + test.outside}
			if test.current {
				environment = append(environment, "CLUSTER=current")
			}
			cmd := exec.Command("bash", "-euc", `source hack/lib.sh; [[ $root == "$PWD" ]]; printf %s "${`+test.name+`-`+gone+`}"`)
			cmd.Dir, cmd.Env = checkout, environment
			if got := output(t, cmd); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

// TestAPathWithASpace: scripts and Makefile find themselves, whatever the path of the checkout is and wherever they are called from.
func TestAPathWithASpace(t *testing.T) {
	checkout := checkoutIn(t, filepath.Join(t.TempDir(), "a path's $HOME"))
	elsewhere := filepath.Join(t.TempDir(), "hack") // where CDPATH would lead `cd hack/..`
	if err := os.MkdirAll(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"make help":                {"make", "help"},
		"the environment in make":  {"make", "--eval", "print: ; @echo $$GOWORK, not Start: $${CDPATH-unset}", "print"},
		"demo":                     {"hack/demo.sh", "sideways"},
		"test":                     {"hack/test.sh", "sideways"},
		"demo, by its whole path":  {filepath.Join(checkout, "hack", "demo.sh"), "sideways"},
		"bench, by its whole path": {filepath.Join(checkout, "hack", "bench.sh")},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // of the table above
			cmd.Dir = checkout
			cmd.Env = append(os.Environ(), "CDPATH="+filepath.Dir(elsewhere))
			out, err := cmd.CombinedOutput()
			if err != nil && cmd.ProcessState.ExitCode() != 2 && !strings.Contains(string(out), "say which") {
				t.Errorf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "No such file") || strings.Contains(string(out), elsewhere) {
				t.Errorf("it says\n%s", out)
			}
		})
	}
}

// checkoutIn copies the scripts and the Makefile into a folder. (It reads them itself, so that a change of one is a reason to run the tests again.)
func checkoutIn(t *testing.T, folder string) string {
	t.Helper()
	if err := os.CopyFS(filepath.Join(folder, "hack"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "Makefile"), makefile, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// output is what a command prints, which must not fail.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as Output returns it
		t.Fatalf("%s: %v\n%s", cmd, err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
