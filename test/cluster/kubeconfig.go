package main

import (
	"context"
	"fmt"
)

func kubeconfigCommand() command {
	return command{
		name:    "kubeconfig",
		summary: "Print the path of a kubeconfig that works on this machine.",
		help: `
A forwarder on a free port of 127.0.0.1 leads to the API server. Services and pods are not reachable from outside of the cluster's network:
use exec, or kubectl port-forward.

  KUBECONFIG=$(go run ./test/cluster kubeconfig) kubectl get nodes`,
		run: func(_ context.Context, s session, _ []string) error {
			if _, running := s.cluster.InitPID(); !running {
				return notRunning(s.cluster)
			}
			fmt.Fprintln(s.out, s.cluster.Kubeconfig())
			return nil
		},
	}
}
