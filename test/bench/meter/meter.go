// Package meter measures what an operator costs the cluster: its requests, by the API server's own counters, and the
// CPU and memory of its pods, by the kubelets'.
package meter

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/headgate/headgate/test/scene"
)

// Meter measures one operator.
type Meter struct {
	// Namespace is where the operator runs, and Account its ServiceAccount there.
	Namespace, Account string

	cluster *scene.Cluster
	rest    *rest.Config
	core    kubernetes.Interface
}

// New is a meter on the cluster that scene.Connect connects to.
func New(cluster *scene.Cluster, namespace, account string) (*Meter, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Meter{Namespace: namespace, Account: account, cluster: cluster, rest: config, core: core}, nil
}

// fetch reads a path of the API server.
func (m *Meter) fetch(ctx context.Context, path string) ([]byte, error) {
	body, err := m.core.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return body, nil
}

var errNotYet = errors.New("not yet")
