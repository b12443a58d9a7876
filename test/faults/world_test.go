package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/dataplane"
)

// patience is how long a test waits for what should take a moment, on a machine with other things to do. What the API server has
// refused is offered again after a minute.
const patience = 2 * time.Minute

// world is one row's part of the API server: a namespace, a GatewayClass, a data plane, and what operators are told.
type world struct {
	*testing.T
	config    *rest.Config
	kube      client.WithWatch
	namespace string
	class     string
	// infra is a namespace with a Gateway of somebody else's; empty: there is none.
	infra string
	plane *dataplane.DataPlane
	clock hastyClock
	hosts *hosts
	// pages answers who asks for counts; nil: whoever has the address.
	pages http.RoundTripper
	pokes int
	// foreign are objects of others, as they were made.
	foreign []client.Object
}

// sharedClient is one client for all worlds.
var sharedClient struct {
	sync.Mutex
	client.WithWatch
}

func kubeClient(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	sharedClient.Lock()
	defer sharedClient.Unlock()
	if sharedClient.WithWatch == nil {
		kube, err := client.NewWithWatch(config, client.Options{Scheme: apiserver.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		sharedClient.WithWatch = kube
	}
	return sharedClient.WithWatch
}

// newWorld has no ExposedService yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, newHastyClock())
}

// newWorldAt has the clock of another.
func newWorldAt(t *testing.T, clock hastyClock) *world {
	t.Helper()
	w := newSilentWorld(t, clock)
	w.startDataPlane(w.namespace)
	return w
}

// newSilentWorld has no data plane yet.
func newSilentWorld(t *testing.T, clock hastyClock) *world {
	t.Helper()
	config := apiserver.Config(t)
	config.QPS, config.Burst = -1, 0
	w := &world{T: t, config: config, kube: kubeClient(t, config), clock: clock, hosts: newHosts()}
	w.namespace = apiserver.Namespace(t, w.kube)
	w.class = "class-of-" + w.namespace
	w.create(w.gatewayClass())
	t.Cleanup(w.clear)
	return w
}

func (w *world) startDataPlane(namespaces ...string) {
	w.Helper()
	w.plane = dataplane.Start(w.T, dataplane.Config{Config: w.config, Client: w.kube, Class: w.class, Namespaces: namespaces})
}

// clear removes the ExposedServices, so that no later operator looks after them.
func (w *world) clear() {
	ctx := context.Background()
	var list v1alpha1.ExposedServiceList
	if err := w.kube.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
		w.Error(err)
	}
	for i := range list.Items {
		exs := &list.Items[i]
		_ = w.kube.Delete(ctx, exs)
		_ = w.kube.Patch(ctx, exs, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
	}
	_ = w.kube.Delete(ctx, w.gatewayClass())
}

func (w *world) gatewayClass() *gwapiv1.GatewayClass {
	return &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: w.class}, Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController},
	}
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(w.namespace)
		}
		if err := w.kube.Create(context.Background(), object); err != nil {
			w.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// read fills in an object of which the name is known.
func (w *world) read(object client.Object) error {
	return w.kube.Get(context.Background(), client.ObjectKeyFromObject(object), object)
}

func (w *world) delete(object client.Object) {
	w.Helper()
	if err := w.kube.Delete(context.Background(), object); err != nil && !apierrors.IsNotFound(err) {
		w.Fatalf("delete %T %s: %v", object, object.GetName(), err)
	}
}

// edit reads an object, changes it and writes it back, as often as it takes.
func edit[T client.Object](w *world, object T, f func(T)) {
	w.Helper()
	w.eventually("change "+object.GetName(), func() error {
		if err := w.read(object); err != nil {
			return err
		}
		f(object)
		return w.kube.Update(context.Background(), object, client.FieldOwner("somebody-else"))
	})
}

const (
	// lookEvery is how often a test looks whether something has happened, and compareEvery how often it compares whole states, which
	// keeps the API server busy.
	lookEvery    = 25 * time.Millisecond
	compareEvery = 150 * time.Millisecond
)

// eventually asks again and again until there is no error.
func (w *world) eventually(what string, f func() error) {
	w.Helper()
	w.eventuallyAt(lookEvery, what, f)
}

func (w *world) eventuallyAt(every time.Duration, what string, f func() error) {
	w.Helper()
	if err := apiserver.PollEvery(context.Background(), every, patience, f); err != nil {
		w.Fatalf("%s: %v\n%s", what, err, w.messages())
	}
}

// messages are what conditions say to people, and the pods and endpoints that there are.
func (w *world) messages() string {
	var list v1alpha1.ExposedServiceList
	if err := w.kube.List(context.Background(), &list, client.InNamespace(w.namespace)); err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, exs := range list.Items {
		for _, c := range exs.Status.Conditions {
			fmt.Fprintf(&out, "%s: %s %s %s: %s\n", exs.Name, c.Type, c.Status, c.Reason, c.Message)
		}
		for _, d := range exs.Status.History {
			fmt.Fprintf(&out, "%s: %s %s: %s\n", exs.Name, d.Time.Format(time.TimeOnly), d.Reason, d.Message)
		}
	}
	var pods corev1.PodList
	var sets discoveryv1.EndpointSliceList
	if err := errors.Join(w.kube.List(context.Background(), &pods, client.InNamespace(w.namespace)), w.kube.List(context.Background(), &sets, client.InNamespace(w.namespace))); err != nil {
		return out.String() + err.Error()
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&out, "pod %s at %q on %q, %s, being deleted %t\n", pod.Name, pod.Status.PodIP, pod.Spec.NodeName, pod.Status.Phase, pod.DeletionTimestamp != nil)
	}
	for _, slice := range sets.Items {
		fmt.Fprintf(&out, "EndpointSlice %s of %s by %s:", slice.Name, slice.Labels[discoveryv1.LabelServiceName], slice.Labels[discoveryv1.LabelManagedBy])
		for _, e := range slice.Endpoints {
			fmt.Fprintf(&out, " %v ready %t", e.Addresses, ptr.Deref(e.Conditions.Ready, true))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// passTime lets ten minutes pass: holds end, and a ramp rises by a step.
func (w *world) passTime() {
	w.Helper()
	w.clock.jump(10 * time.Minute)
	w.poke()
}

// poke has every ExposedService looked at, by an annotation that means nothing where nothing was rolled back.
func (w *world) poke() {
	w.Helper()
	w.pokeThose("")
}

// pokeThose does so with those whose names begin so.
func (w *world) pokeThose(prefix string) {
	w.Helper()
	var list v1alpha1.ExposedServiceList
	if err := w.kube.List(context.Background(), &list, client.InNamespace(w.namespace)); err != nil {
		w.Fatal(err)
	}
	w.pokes++
	for i := range list.Items {
		if !strings.HasPrefix(list.Items[i].Name, prefix) {
			continue
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d"}}}`, v1alpha1.AnnotationRetry, w.pokes)
		err := w.kube.Patch(context.Background(), &list.Items[i], client.RawPatch(types.MergePatchType, patch))
		if err != nil && !apierrors.IsNotFound(err) {
			w.Fatal(err)
		}
	}
}

// farAddresses are those of farHost (RFC 5737).
var farAddresses = []string{"203.0.113.1", "203.0.113.2"}

// hosts is the DNS of a world.
type hosts struct {
	mu      sync.Mutex
	answers map[string][]string
	// fails, and hangs: nobody gets an answer.
	fails, hangs bool
}

func newHosts() *hosts {
	return &hosts{answers: map[string][]string{farHost: farAddresses}}
}

func (h *hosts) set(f func(*hosts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

// LookupHost implements facts.Resolver.
func (h *hosts) LookupHost(ctx context.Context, host string) ([]string, error) {
	h.mu.Lock()
	fails, hangs, answer := h.fails, h.hangs, h.answers[strings.TrimSuffix(host, ".")]
	h.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if fails || len(answer) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: !fails, IsTemporary: fails}
	}
	return answer, nil
}
