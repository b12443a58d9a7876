package xdsfeed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get,namespace=headgate-system

// goneInterval is how often the leader asks after the replicas that have written reports.
const goneInterval = 30 * time.Second

// GoneReplicas removes, on the leader, the reports of replicas that are gone without having withdrawn them. A replica is
// gone when its pod is: as long as the pod is there its clients may be.
type GoneReplicas struct {
	// Cached reads ExposedServices from the cache, Reader pods past it.
	Cached, Reader client.Reader
	Client         client.Client
	// Namespace is that of the replicas' pods.
	Namespace string
	// Self is the name of this replica.
	Self  string
	Clock clock.WithTicker
	Log   logr.Logger
}

// Start implements manager.Runnable; it is for the leader, as runnables are that do not say otherwise.
func (g *GoneReplicas) Start(ctx context.Context) error {
	ticker := g.Clock.NewTicker(goneInterval)
	defer ticker.Stop()
	for {
		if err := g.Sweep(ctx); err != nil && ctx.Err() == nil {
			g.Log.Error(err, "remove the reports of replicas that are gone")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// Sweep asks once after each replica that is not this one.
func (g *GoneReplicas) Sweep(ctx context.Context) error {
	var list v1alpha1.ExposedServiceList
	if err := g.Cached.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ExposedServices: %w", err)
	}
	users := map[string][]types.NamespacedName{}
	for i := range list.Items {
		if list.Items[i].Status.XDS == nil {
			continue
		}
		for _, replica := range list.Items[i].Status.XDS.Replicas {
			if replica.Name != g.Self {
				users[replica.Name] = append(users[replica.Name], client.ObjectKeyFromObject(&list.Items[i]))
			}
		}
	}
	var errs []error
	for replica, names := range users {
		gone, err := g.isGone(ctx, replica)
		errs = append(errs, err)
		if !gone {
			continue
		}
		g.Log.Info("a replica is gone without a word", "replica", replica, "exposedServices", len(names))
		for _, name := range names {
			errs = append(errs, ApplyReplica(ctx, g.Client, name, replica, nil))
		}
	}
	return errors.Join(errs...)
}

func (g *GoneReplicas) isGone(ctx context.Context, replica string) (bool, error) {
	var pod corev1.Pod
	err := g.Reader.Get(ctx, types.NamespacedName{Namespace: g.Namespace, Name: replica}, &pod)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read the pod of replica %s: %w", replica, err)
	}
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed, nil
}
