package addons

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/kube"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// Connect returns a client of the cluster, for use on the host.
func Connect(cluster layout.Cluster) (*kube.Client, error) {
	address, err := cluster.Forwarder()
	if err != nil {
		return nil, err
	}
	return kube.NewAdmin(cluster, address)
}

// WaitForAPI returns a client as soon as the API server is ready.
func WaitForAPI(ctx context.Context, cluster layout.Cluster) (admin *kube.Client, err error) {
	err = wait.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		if admin == nil {
			client, err := Connect(cluster)
			if err != nil {
				return stopIfDead(cluster, err)
			}
			admin = client
		}
		return stopIfDead(cluster, admin.Get(ctx, "/readyz", nil))
	})
	return admin, err
}

// IsNodeReady returns nil if the cluster's node is ready for pods.
func IsNodeReady(ctx context.Context, cluster layout.Cluster, admin *kube.Client) error {
	return admin.CheckCondition(ctx, "/api/v1/nodes/"+cluster.Name, "Ready")
}

// WaitForNode returns when the node is ready for pods.
func WaitForNode(ctx context.Context, cluster layout.Cluster, admin *kube.Client) error {
	return wait.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		return stopIfDead(cluster, IsNodeReady(ctx, cluster, admin))
	})
}
