package main

import (
	"context"
	"fmt"
	"os"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

const (
	// space is the namespace of everything that is made.
	space = "bench-idle"
	// settleTime bounds the wait for all ExposedServices, and cleanUpTime their removal.
	settleTime  = 5 * time.Minute
	cleanUpTime = 3 * time.Minute
	// sampleTime bounds how long after the window the kubelet may take for another sample: it takes
	// one about every 15 s.
	sampleTime = time.Minute
	// lookInterval is how often is asked for what is waited for.
	lookInterval = time.Second
)

// bench is the cluster under measurement.
type bench struct {
	*scene.Cluster
	core kubernetes.Interface
}

func connect() (*bench, error) {
	cluster, err := scene.Connect()
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &bench{Cluster: cluster, core: core}, nil
}

// fetch reads a path of the API server.
func (b *bench) fetch(ctx context.Context, path string) ([]byte, error) {
	body, err := b.core.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return body, nil
}

// until asks again and again until the answer is nil, and fails with the last answer after a time.
func until(ctx context.Context, patience time.Duration, what string, ask func(context.Context) error) error {
	return scene.UntilWithin(ctx, patience, lookInterval, what, ask)
}

// cleanUp removes all that was made, and waits until the namespace is gone, so that the next user of
// the cluster finds it at rest.
func (b *bench) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTime)
	defer cancel()
	for _, name := range schemaNames {
		err := b.Delete(ctx, &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if client.IgnoreNotFound(err) != nil {
			fmt.Fprintf(os.Stderr, "remove FlowSchema %s: %v\n", name, err)
		}
	}
	if err := b.RemoveNamespace(ctx, space); err != nil {
		fmt.Fprintf(os.Stderr, "remove namespace %s: %v\n", space, err)
		return
	}
	err := until(ctx, cleanUpTime, "the end of namespace "+space, func(ctx context.Context) error {
		_, err := b.core.CoreV1().Namespaces().Get(ctx, space, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errNotYet
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
