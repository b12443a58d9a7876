package addons

import (
	"context"
	"path/filepath"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/kube"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

const (
	envoyImage            = "docker.io/envoyproxy/envoy:distroless-v" + pieces.EnvoyVersion
	releaseName           = "eg"
	envoyGatewayNamespace = "envoy-gateway-system"
	envoyGatewayPath      = "/apis/apps/v1/namespaces/" + envoyGatewayNamespace + "/deployments/envoy-gateway"
	gatewayClassPath      = "/apis/gateway.networking.k8s.io/v1/gatewayclasses/envoy-gateway"
)

// HasEnvoyGateway returns nil if Envoy Gateway is available and has accepted its GatewayClass.
func HasEnvoyGateway(ctx context.Context, admin *kube.Client) error {
	if err := admin.CheckCondition(ctx, envoyGatewayPath, "Available"); err != nil {
		return err
	}
	return admin.CheckCondition(ctx, gatewayClassPath, "Accepted")
}

// LoadEnvoyGatewayImages imports the control plane and the proxy. folders are the built pieces.
func LoadEnvoyGatewayImages(ctx context.Context, cluster layout.Cluster, folders map[string]string) error {
	controlPlane := image.Image{
		Name: pieces.EnvoyGatewayImage, Entrypoint: []string{"envoy-gateway"}, User: "65532:65532",
		Files: []image.File{{From: filepath.Join(folders[pieces.EnvoyGateway.Name], "envoy-gateway"), To: "/usr/local/bin/envoy-gateway"}},
	}
	envoy := filepath.Join(folders[pieces.Envoy.Name], "envoy")
	libraries, err := image.SharedLibraries(envoy)
	if err != nil {
		return err
	}
	proxy := image.Image{
		Name: envoyImage, Entrypoint: []string{"envoy"}, User: "65532:65532",
		Files: append(libraries, image.File{From: envoy, To: "/usr/local/bin/envoy"}),
	}
	for _, content := range []image.Image{controlPlane, proxy} {
		if _, err := LoadImage(ctx, cluster, content); err != nil {
			return err
		}
	}
	return nil
}

// InstallEnvoyGateway installs Envoy Gateway by its chart, with a GatewayClass, and waits until both are in order. It may be repeated.
func InstallEnvoyGateway(ctx context.Context, cluster layout.Cluster, admin *kube.Client, folders map[string]string) error {
	values, err := renderManifest("envoy-gateway-values.yaml", struct{ EnvoyImage string }{envoyImage})
	if err != nil {
		return err
	}
	if err := forgetInterruptedInstall(ctx, cluster); err != nil {
		return err
	}
	chart := filepath.Join(folders[pieces.EnvoyGateway.Name], "chart")
	if err := runTool(ctx, cluster, values, "helm", "upgrade", "--install", releaseName, chart,
		"--namespace", envoyGatewayNamespace, "--create-namespace", "--values", "-"); err != nil {
		return err
	}
	class, err := renderManifest("gatewayclass.yaml", nil)
	if err != nil {
		return err
	}
	if err := apply(ctx, cluster, class); err != nil {
		return err
	}
	return wait.Until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		return stopIfDead(cluster, HasEnvoyGateway(ctx, admin))
	})
}

// forgetInterruptedInstall removes Helm's record of an installation that was at work when its up was killed: with it Helm refuses to begin
// again. What that installation created is taken over by the next, as it carries the release's name.
func forgetInterruptedInstall(ctx context.Context, cluster layout.Cluster) error {
	return runTool(ctx, cluster, nil, "kubectl", "delete", "secrets", "--namespace", envoyGatewayNamespace,
		"--selector", "owner=helm,name="+releaseName+",status in (pending-install,pending-upgrade,pending-rollback)")
}
