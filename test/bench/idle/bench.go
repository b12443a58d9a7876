package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/bench/meter"
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
	meter *meter.Meter
}

func connect() (*bench, error) {
	cluster, err := scene.Connect()
	if err != nil {
		return nil, err
	}
	// The chart names the ServiceAccount.
	operator, err := meter.New(cluster, scene.HeadgateNamespace, "headgate")
	if err != nil {
		return nil, err
	}
	return &bench{Cluster: cluster, meter: operator}, nil
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
	if err := b.meter.StopCounting(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "remove the FlowSchemas:", err)
	}
	if err := b.RemoveNamespace(ctx, space); err != nil {
		fmt.Fprintf(os.Stderr, "remove namespace %s: %v\n", space, err)
		return
	}
	err := until(ctx, cleanUpTime, "the end of namespace "+space, func(ctx context.Context) error {
		err := b.Get(ctx, client.ObjectKey{Name: space}, &corev1.Namespace{})
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
