package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

const (
	primary = "primary"
	backup  = "backup"
	shared  = "shared"
	// quiet is for how long nothing may change before all is called settled.
	quiet = 10 * time.Second
)

var errNotYet = errors.New("not yet")

// expose makes the ExposedServices, each with a host name of its own, all on one Gateway and with the
// same two backends, and waits until they are at rest.
func (b *bench) expose(ctx context.Context, count int) error {
	if err := b.MakeNamespace(ctx, space); err != nil {
		return err
	}
	if err := b.Deploy(ctx, space, scene.App{Name: primary, Replicas: 1}, scene.App{Name: backup, Replicas: 1}); err != nil {
		return err
	}
	if err := b.Put(ctx, sharedGateway()); err != nil {
		return err
	}
	for i := range count {
		if err := b.Put(ctx, exposedService(i)); err != nil {
			return err
		}
	}
	if err := until(ctx, settleTime, "all ExposedServices to be ready", func(ctx context.Context) error { return b.allReady(ctx, count) }); err != nil {
		return err
	}
	return b.untilQuiet(ctx)
}

func sharedGateway() *gwapiv1.Gateway {
	return &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: shared},
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: scene.ClassName,
			Listeners:        []gwapiv1.Listener{{Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType}},
		},
	}
}

func exposedService(number int) *v1alpha1.ExposedService {
	name := fmt.Sprintf("greeter-%03d", number)
	exs := scene.ExposedService(space, name, primary, backup)
	exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")}
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: shared}}
	// Envoy checks each endpoint for each ExposedService. At the default of 250 ms a hundred of them
	// would keep a small machine busy, and it is not Envoy that is measured.
	exs.Spec.Traffic.HealthCheck = &v1alpha1.HealthCheck{Interval: ptr.To(v1alpha1.Duration("10s"))}
	return exs
}

func (b *bench) allReady(ctx context.Context, count int) error {
	var list v1alpha1.ExposedServiceList
	if err := b.List(ctx, &list, client.InNamespace(space)); err != nil {
		return err
	}
	ready, last := 0, ""
	for i := range list.Items {
		missing := missingCondition(&list.Items[i])
		if missing == "" {
			ready++
		} else {
			last = list.Items[i].Name + ": " + missing
		}
	}
	if ready < count {
		return fmt.Errorf("%w: %d of %d; %s", errNotYet, ready, count, last)
	}
	return nil
}

// missingCondition is a condition that a settled ExposedService has and this one has not.
func missingCondition(exs *v1alpha1.ExposedService) string {
	for _, wanted := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionPriorityFailover} {
		have := meta.FindStatusCondition(exs.Status.Conditions, wanted)
		if have == nil || have.Status != metav1.ConditionTrue || have.ObservedGeneration != exs.Generation {
			if have == nil {
				return wanted + " is not there"
			}
			return fmt.Sprintf("%s is %s: %s", wanted, have.Status, have.Message)
		}
	}
	return ""
}

// untilQuiet waits until no object of the namespace has changed for a while.
func (b *bench) untilQuiet(ctx context.Context) error {
	before, since := inventory{}, time.Now()
	return until(ctx, settleTime, "all objects to be at rest", func(ctx context.Context) error {
		now, err := b.takeInventory(ctx)
		if err != nil {
			return err
		}
		if changed := now.changedSince(before); len(changed) > 0 {
			before, since = now, time.Now()
			return fmt.Errorf("%w: %d objects have changed", errNotYet, len(changed))
		}
		if time.Since(since) < quiet {
			return fmt.Errorf("%w: quiet for %s", errNotYet, time.Since(since).Round(time.Second))
		}
		return nil
	})
}
