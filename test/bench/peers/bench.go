package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/test/scene"
)

const (
	// settleTime bounds the wait for services to be taken over, and cleanUpTime for what was removed to be gone.
	settleTime  = 4 * time.Minute
	cleanUpTime = 3 * time.Minute
	// lookInterval is how often is asked for what is waited for.
	lookInterval = 250 * time.Millisecond
	// manager is the field manager of what is applied.
	manager = "bench"
)

var (
	deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	errNotYet   = errors.New("not yet")
)

// bench is the cluster on which is measured.
type bench struct {
	*scene.Cluster
	discovery *discovery
	began     time.Time
}

// say prints a line about what is going on, with the time since the beginning.
func (b *bench) say(format string, args ...any) {
	since := time.Since(b.began).Round(time.Second)
	fmt.Fprintf(os.Stderr, "[%d:%02d] %s\n", int(since.Minutes()), int(since.Seconds())%60, fmt.Sprintf(format, args...))
}

// until asks again and again until the answer is nil, and fails with the last answer after a time.
func until(ctx context.Context, patience time.Duration, what string, ask func(context.Context) error) error {
	return scene.UntilWithin(ctx, patience, lookInterval, what, ask)
}

// do runs a command, whose output is of interest only when it fails.
func (b *bench) do(ctx context.Context, name string, args ...string) error {
	return b.doWith(ctx, "", name, args...)
}

// doWith is do with an input.
func (*bench) doWith(ctx context.Context, input, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// apply makes the objects of a shape.
func (b *bench) apply(ctx context.Context, shape string, data any) error {
	all, err := objects(shape, data)
	if err != nil {
		return err
	}
	for _, object := range all {
		if err := b.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// discard deletes the objects of a shape.
func (b *bench) discard(ctx context.Context, shape string, data any) error {
	all, err := objects(shape, data)
	if err != nil {
		return err
	}
	for _, object := range all {
		if err := b.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// read is an object of any kind.
func (b *bench) read(ctx context.Context, kind schema.GroupVersionKind, space, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	err := b.Get(ctx, client.ObjectKey{Namespace: space, Name: name}, object)
	return object, err
}

// ship gives a workload the pod template of another version, as a person or a pipeline would.
func (b *bench) ship(ctx context.Context, kind schema.GroupVersionKind, s service) error {
	template, err := podTemplate(s)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	object.SetNamespace(s.Namespace)
	object.SetName(s.Name)
	return b.Patch(ctx, object, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(manager))
}

// openGateway makes the Gateway that all services of a namespace share, and returns where clients connect.
func (b *bench) openGateway(ctx context.Context, space string) (address string, err error) {
	if err := b.apply(ctx, "gateway.yaml", service{Namespace: space}); err != nil {
		return "", err
	}
	err = until(ctx, settleTime, "the address of the Gateway", func(ctx context.Context) error {
		var gateway gwapiv1.Gateway
		if err := b.Get(ctx, client.ObjectKey{Namespace: space, Name: "shared"}, &gateway); err != nil {
			return err
		}
		if len(gateway.Status.Addresses) == 0 {
			return errNotYet
		}
		address = net.JoinHostPort(gateway.Status.Addresses[0].Value, "80")
		return nil
	})
	return address, err
}

// removeNamespace deletes a namespace and waits until it is gone.
func (b *bench) removeNamespace(ctx context.Context, name string) error {
	if err := b.RemoveNamespace(ctx, name); err != nil {
		return err
	}
	return until(ctx, cleanUpTime, "the end of namespace "+name, func(ctx context.Context) error {
		err := b.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errNotYet
	})
}
