package addons

import (
	"fmt"

	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// stopIfDead returns err for a wait that goes on with it, unless the cluster has ended and waiting is in vain.
func stopIfDead(cluster layout.Cluster, err error) error {
	if err == nil {
		return nil
	}
	if _, running := cluster.InitPID(); running {
		return err
	}
	return wait.Stop(fmt.Errorf("cluster %q has ended:\n%s", cluster.Name, supervisor.LastLog(cluster)))
}
