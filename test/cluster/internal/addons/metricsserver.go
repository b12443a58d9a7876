package addons

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/kube"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// MetricsServerImage is metrics-server under the name of its own image.
const MetricsServerImage = "registry.k8s.io/metrics-server/metrics-server:" + pieces.MetricsServerVersion

const (
	metricsServerPath  = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"
	metricsServicePath = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
	authenticationPath = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
)

// LoadMetricsServerImage imports metrics-server, with the program and the user of its own image, and reports whether that was
// needed. folders are the built pieces.
func LoadMetricsServerImage(ctx context.Context, cluster layout.Cluster, folders map[string]string) (imported bool, err error) {
	const program = "/metrics-server"
	return LoadImage(ctx, cluster, image.Image{
		Name: MetricsServerImage, Entrypoint: []string{program}, User: "65534",
		Files: []image.File{{From: filepath.Join(folders[pieces.MetricsServer.Name], "metrics-server"), To: program}},
	})
}

// InstallMetricsServer installs metrics-server and waits until its API is available. It may be repeated.
func InstallMetricsServer(ctx context.Context, cluster layout.Cluster, admin *kube.Client) error {
	if err := hasFrontProxy(ctx, admin); err != nil {
		return err
	}
	manifests, err := renderManifest("metrics-server.yaml", struct{ Image string }{MetricsServerImage})
	if err != nil {
		return err
	}
	if err := apply(ctx, cluster, manifests); err != nil {
		return err
	}
	return wait.Until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		return stopIfDead(cluster, hasMetricsServer(ctx, admin))
	})
}

// hasMetricsServer returns nil if metrics-server has metrics, and the API server finds its API.
func hasMetricsServer(ctx context.Context, admin *kube.Client) error {
	if err := admin.CheckCondition(ctx, metricsServerPath, "Available"); err != nil {
		return err
	}
	return admin.CheckCondition(ctx, metricsServicePath, "Available")
}

// hasFrontProxy returns nil if the API server can pass requests on in the name of those who made them. An API that it can't reach keeps
// namespaces from ending, so that none is installed then.
func hasFrontProxy(ctx context.Context, admin *kube.Client) error {
	var authentication struct {
		Data map[string]string `json:"data"`
	}
	if err := admin.Get(ctx, authenticationPath, &authentication); err != nil {
		return err
	}
	if authentication.Data["requestheader-client-ca-file"] == "" {
		return errors.New("the cluster was started before it had an aggregation layer: `down`, then `up`")
	}
	return nil
}
