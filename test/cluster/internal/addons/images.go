// Package addons puts things into a running cluster: images, cluster DNS, Envoy Gateway.
package addons

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/child"
	"github.com/headgate/headgate/test/cluster/internal/filelock"
	"github.com/headgate/headgate/test/cluster/internal/image"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// LoadImage imports an image into the cluster's containerd, and reports whether that was needed:
// an image that was imported by this name with this content before is left alone.
func LoadImage(ctx context.Context, cluster layout.Cluster, content image.Image) (imported bool, err error) {
	prepared, err := content.Prepare()
	if err != nil {
		return false, err
	}
	lock, err := filelock.Acquire(ctx, cluster.Path("images.lock"), nil)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	images, err := Images(cluster)
	if err != nil {
		return false, err
	}
	if images[content.Name] == prepared.ID() {
		return false, nil
	}
	if err := importImage(ctx, cluster, prepared); err != nil {
		return false, fmt.Errorf("import image %s: %w", content.Name, err)
	}
	images[content.Name] = prepared.ID()
	record, err := json.MarshalIndent(images, "", "  ")
	if err != nil {
		return false, err
	}
	return true, layout.WriteFile(imagesFile(cluster), record, 0o644)
}

// Images returns the images that were loaded into the cluster: their ids by their names.
func Images(cluster layout.Cluster) (map[string]string, error) {
	images := map[string]string{}
	record, err := os.ReadFile(imagesFile(cluster))
	if errors.Is(err, fs.ErrNotExist) {
		return images, nil
	}
	if err != nil {
		return nil, err
	}
	return images, json.Unmarshal(record, &images)
}

func imagesFile(cluster layout.Cluster) string { return cluster.Path("images.json") }

// importTimeout is for the largest image, of 200 MB, on a busy machine.
const importTimeout = 2 * time.Minute

// importImage streams an image into ctr, without a copy on the disk.
func importImage(ctx context.Context, cluster layout.Cluster, content *image.Prepared) error {
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	init, running := cluster.InitPID()
	if !running {
		return fmt.Errorf("cluster %q is not running", cluster.Name)
	}
	socket := cluster.ContainerdSocket(init)
	if err := waitForSocket(ctx, cluster, socket); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, cluster.Bin("ctr"), "--address", socket, "--namespace", "k8s.io", "images", "import", "--local", "-")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + cluster.Temp()}
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		err := content.Write(input)
		written <- errors.Join(err, input.Close())
	}()
	output, err := child.CombinedOutput(cmd)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return <-written
}

func waitForSocket(ctx context.Context, cluster layout.Cluster, socket string) error {
	return wait.Until(ctx, 20*time.Millisecond, func(context.Context) error {
		if _, err := os.Stat(socket); err != nil {
			return stopIfDead(cluster, fmt.Errorf("containerd does not listen yet, its log is %s: %w", cluster.Log("containerd"), err))
		}
		return nil
	})
}
