package addons

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/headgate/headgate/test/cluster/internal/child"
	"github.com/headgate/headgate/test/cluster/internal/environment"
	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// apply applies manifests, and may be repeated.
func apply(ctx context.Context, cluster layout.Cluster, manifests []byte) error {
	return runTool(ctx, cluster, manifests, "kubectl", "apply", "--server-side", "--force-conflicts", "--filename", "-")
}

// runTool runs kubectl or helm, from the host, against the cluster.
func runTool(ctx context.Context, cluster layout.Cluster, input []byte, tool string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(cluster.Tools(), tool), args...)
	cmd.Env = environment.For(cluster, cluster.Kubeconfig(), os.Environ())
	cmd.Stdin = bytes.NewReader(input)
	if output, err := child.CombinedOutput(cmd); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", tool, args[0], err, output)
	}
	return nil
}
