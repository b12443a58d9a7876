package scene

import (
	"context"
	"errors"
	"fmt"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Cluster is a Kubernetes cluster with Envoy Gateway and Headgate on it.
type Cluster struct {
	client.Client
	rest *rest.Config
	core kubernetes.Interface
}

// Connect connects to the cluster that KUBECONFIG, or the usual default, names. It fails when
// there is none, or when it does not answer.
func Connect() (*Cluster, error) {
	// A client without a logger prints a stack trace after half a minute, in the middle of what is measured.
	ctrllog.SetLogger(logr.Discard())
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: %w; set KUBECONFIG, or start the local one with `make cluster-up`", err)
	}
	config.QPS, config.Burst = 200, 400
	return connect(config)
}

// As is the same cluster with the rights of a user.
func (c *Cluster) As(user string) (*Cluster, error) {
	config := rest.CopyConfig(c.rest)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return connect(config)
}

func connect(config *rest.Config) (*Cluster, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, gwapiv1.Install, egv1a1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	kube, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster at %s: %w", config.Host, err)
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{Client: kube, rest: config, core: core}, nil
}

// MakeNamespace makes a namespace; one that exists is taken as it is.
func (c *Cluster) MakeNamespace(ctx context.Context, name string) error {
	err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return client.IgnoreAlreadyExists(err)
}

// RemoveNamespace deletes a namespace with all that is in it, and does not wait for it.
func (c *Cluster) RemoveNamespace(ctx context.Context, name string) error {
	err := c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return client.IgnoreNotFound(err)
}

// UntilNamespaceGone waits until a namespace that was removed is gone, with its pods.
func (c *Cluster) UntilNamespaceGone(ctx context.Context, name string) error {
	return Until(ctx, "the end of namespace "+name, func(ctx context.Context) error {
		err := c.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return errNotYet
		}
		return err
	})
}

// Put makes an object, or gives the one that exists the same spec.
func (c *Cluster) Put(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		err := c.Create(ctx, object.DeepCopyObject().(client.Object)) //nolint:forcetypeassert // a copy has the type of its original
		if err == nil {
			continue
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
		// The cluster's controllers write to it as well: a race that was lost is run again, on what is there then.
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			live := object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // as above
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
				return err
			}
			object.SetResourceVersion(live.GetResourceVersion())
			return c.Update(ctx, object)
		}); err != nil {
			return fmt.Errorf("update %T %s: %w", object, object.GetName(), err)
		}
		object.SetResourceVersion("")
	}
	return nil
}

const (
	pollInterval = 25 * time.Millisecond
	// Patience bounds every wait for the cluster to do something. No test waits as long but on a machine that
	// others keep busy, or where what is waited for never comes.
	Patience = 3 * time.Minute
	// lastQuestion is how long the question that patience runs out on may still take.
	lastQuestion = 5 * time.Second
)

// Until asks again and again until the answer is nil, and fails with the last answer when
// patience runs out.
func Until(ctx context.Context, what string, ask func(context.Context) error) error {
	return UntilWithin(ctx, Patience, pollInterval, what, ask)
}

// UntilWithin is Until with a patience and an interval of the caller's own.
func UntilWithin(ctx context.Context, patience, interval time.Duration, what string, ask func(context.Context) error) error {
	// The last question gets a little longer, so that its answer, not its deadline, is what is reported.
	asking, cancelAsking := context.WithTimeout(ctx, patience+lastQuestion)
	defer cancelAsking()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := ask(asking)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", patience, what, err)
		case <-tick.C:
		}
	}
}

var errNotYet = errors.New("not yet")

// Names are the objects of a list, each with its type.
func Names(list client.ObjectList) []string {
	var names []string
	_ = meta.EachListItem(list, func(item runtime.Object) error { //nolint:errcheck // the function never fails
		if object, err := meta.Accessor(item); err == nil {
			names = append(names, fmt.Sprintf("%T %s", item, object.GetName()))
		}
		return nil
	})
	return names
}
