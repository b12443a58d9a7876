package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/headgate/headgate/test/cluster/internal/node"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
)

func restartCommand() command {
	return command{
		name:    "restart",
		args:    "COMPONENT",
		summary: "Kill a component with SIGKILL and see it come back.",
		help: `
COMPONENT is one of ` + strings.Join(node.Components, ", ") + `.
Process 1 of the cluster starts it again after 0.2 s, or after more if it has ended several times in the last half minute.
The command returns when the new process is there, which is before it is ready.`,
		needs: 1,
		run: func(ctx context.Context, s session, args []string) error {
			before, after, err := supervisor.Restart(ctx, s.cluster, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(s.log, "%s: process %d was killed, %d is the new one\n", args[0], before, after)
			return nil
		},
	}
}
