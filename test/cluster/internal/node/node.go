// Package node is the inside of a cluster: process 1 of its namespaces, which sets them up and keeps Kubernetes running in them.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/test/cluster/internal/kube"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/loadbalancer"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// startTimeout is how long etcd, containerd and the API server may take to answer for the first time.
const startTimeout = 2 * time.Minute

type node struct {
	cluster   layout.Cluster
	processes *processes
}

// Run sets the cluster up and keeps it running. It returns only if it can't, or when lifeline, which the supervisor holds the other end of, ends.
// When it returns the process ends, and the kernel takes down all that is in its namespaces.
// forwarder is a listener on the host for clients of the API server.
func Run(cluster layout.Cluster, forwarder net.Listener, lifeline io.Reader) error {
	n := &node{cluster: cluster, processes: newProcesses()}
	failed := make(chan error)
	go func() { failed <- n.start(forwarder) }()
	cut := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		close(cut)
	}()
	for {
		select {
		case err := <-failed:
			if err != nil {
				return err
			}
		case <-cut:
			return errors.New("the supervisor is gone: ending the cluster")
		}
	}
}

// start brings everything up, in the order of what needs what. What it has started goes on running by itself.
func (n *node) start(forwarder net.Listener) error {
	if err := unix.Sethostname([]byte(n.cluster.Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := mountAll(n.cluster); err != nil {
		return err
	}
	if err := setUpNetwork(); err != nil {
		return err
	}
	if err := writeConfig(n.cluster); err != nil {
		return err
	}
	n.keepRunning(containerd(n.cluster))
	n.keepRunning(etcd(n.cluster))

	if err := writeCredentials(n.cluster, forwarder.Addr().String()); err != nil {
		return err
	}
	go forward(forwarder, layout.APIServer())
	n.keepRunning(apiServer(n.cluster))

	admin, err := kube.NewAdmin(n.cluster, layout.APIServer())
	if err != nil {
		return err
	}
	if err := waitForStart(admin); err != nil {
		return err
	}
	log.Print("the API server is ready")
	n.keepRunning(controllerManager(n.cluster))
	n.keepRunning(scheduler(n.cluster))
	n.keepRunning(kubelet(n.cluster))
	n.keepRunning(kubeProxy(n.cluster))
	balancer := &loadbalancer.Controller{Client: admin, Pool: layout.LoadBalancers, Works: loadbalancer.Works}
	go balancer.Run(context.Background())
	return nil
}

// waitForStart returns when those that the rest talks to answer.
func waitForStart(admin *kube.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return wait.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		if err := admin.Get(ctx, "/readyz", nil); err != nil {
			return fmt.Errorf("the API server is not ready: %w", err)
		}
		if _, err := os.Stat("/run/containerd/containerd.sock"); err != nil {
			return fmt.Errorf("containerd does not listen: %w", err)
		}
		return nil
	})
}
