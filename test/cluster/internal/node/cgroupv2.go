package node

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/cgroup"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// enterCgroupV2 makes room in the group for those of the pods. It works as soon as the supervisor, too, has moved to its own leaf.
func enterCgroupV2(root string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return wait.Until(ctx, 10*time.Millisecond, func(context.Context) error {
		return cgroup.EnterLeafAndDelegate(root, "node")
	})
}
