package pieces

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// EnvoyGatewayImage is the name that the chart is filled in with, for the control plane's image.
const EnvoyGatewayImage = "docker.io/envoyproxy/gateway:" + EnvoyGatewayVersion

// copyEnvoyGatewayChart copies the chart out of the module's sources and fills in what its release process would.
func copyEnvoyGatewayChart(ctx context.Context, source, out string) error {
	if err := copyOut("github.com/envoyproxy/gateway", "charts/gateway-helm", "chart")(ctx, source, out); err != nil {
		return err
	}
	chart := filepath.Join(out, "chart")
	fill := strings.NewReplacer(
		"${GatewayImagePullPolicy}", "IfNotPresent",
		"${GatewayImage}", EnvoyGatewayImage,
		"v0.0.0-latest", EnvoyGatewayVersion,
		`appVersion: "latest"`, "appVersion: "+EnvoyGatewayVersion,
	)
	if err := rewrite(filepath.Join(chart, "values.tmpl.yaml"), filepath.Join(chart, "values.yaml"), fill); err != nil {
		return err
	}
	return rewrite(filepath.Join(chart, "Chart.yaml"), filepath.Join(chart, "Chart.yaml"), fill)
}

// rewrite replaces the file from, which may be read-only, by the file to.
func rewrite(from, to string, replace *strings.Replacer) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.Remove(from); err != nil {
		return err
	}
	return os.WriteFile(to, []byte(replace.Replace(string(content))), 0o644)
}
