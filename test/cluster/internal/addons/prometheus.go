package addons

import (
	"context"
	"path/filepath"

	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
)

// PrometheusImage is Prometheus under the name of its own image, so that what runs here runs where images can be pulled.
const PrometheusImage = "docker.io/prom/prometheus:" + pieces.PrometheusVersion

// LoadPrometheusImage imports Prometheus, with the program and the user of its own image, and reports whether that was
// needed. folders are the built pieces.
func LoadPrometheusImage(ctx context.Context, cluster layout.Cluster, folders map[string]string) (imported bool, err error) {
	const program = "/bin/prometheus"
	return LoadImage(ctx, cluster, image.Image{
		Name: PrometheusImage, Entrypoint: []string{program}, User: "65534",
		Files: []image.File{{From: filepath.Join(folders[pieces.Prometheus.Name], "prometheus"), To: program}},
	})
}
