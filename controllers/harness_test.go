package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/controllers/exposure"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/dataplane"
	"github.com/headgate/headgate/test/shop"
)

// patience is how long a test waits for what should take a moment, on a machine with other things to do.
const patience = 2 * time.Minute

// world is one test's part of the API server: a namespace, a GatewayClass, and a data plane that
// writes statuses as Envoy Gateway does.
type world struct {
	t         *testing.T
	config    *rest.Config
	kube      client.Client
	namespace string
	class     string
	dataPlane *dataplane.DataPlane
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, apiserver.Config(t), apiserver.Client(t))
}

func newWorldOn(t *testing.T, config *rest.Config, kube client.Client) *world {
	t.Helper()
	w := &world{t: t, config: config, kube: kube, namespace: apiserver.Namespace(t, kube)}
	w.class = "class-of-" + w.namespace
	return w
}

// withDataPlane makes the GatewayClass and starts the data plane.
func (w *world) withDataPlane() *world {
	w.t.Helper()
	w.create(w.gatewayClass())
	w.dataPlane = startDataPlane(w)
	return w
}

func (w *world) gatewayClass() *gwapiv1.GatewayClass {
	return &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: w.class},
		Spec:       gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController},
	}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(w.namespace)
		}
		if err := w.kube.Create(w.t.Context(), object); err != nil {
			w.t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// edit reads an object, changes it and writes it back, as often as it takes.
func edit[T client.Object](w *world, object T, f func(T)) {
	w.t.Helper()
	w.eventually("change "+object.GetName(), func() error {
		if err := w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		f(object)
		return w.kube.Update(w.t.Context(), object, client.FieldOwner("somebody-else"))
	})
}

func (w *world) read(object client.Object) error {
	return w.kube.Get(w.t.Context(), client.ObjectKeyFromObject(object), object)
}

func (w *world) delete(object client.Object) {
	w.t.Helper()
	if err := w.kube.Delete(w.t.Context(), object); err != nil {
		w.t.Fatalf("delete %T %s: %v", object, object.GetName(), err)
	}
}

// eventually asks again and again until there is no error.
func (w *world) eventually(what string, f func() error) {
	w.t.Helper()
	if err := apiserver.Poll(w.t.Context(), patience, f); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// conditionIs is nil when the ExposedService has the condition, made from its current generation.
func (w *world) conditionIs(exs *v1alpha1.ExposedService, conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason, words ...string) error {
	if err := w.read(exs); err != nil {
		return err
	}
	i := slices.IndexFunc(exs.Status.Conditions, func(c metav1.Condition) bool { return c.Type == conditionType })
	if i < 0 {
		return fmt.Errorf("no condition %s in %v", conditionType, exs.Status.Conditions)
	}
	condition := exs.Status.Conditions[i]
	if condition.Status != status || condition.Reason != string(reason) || condition.ObservedGeneration != exs.Generation {
		return fmt.Errorf("%s is %s/%s of generation %d: %s", conditionType, condition.Status, condition.Reason, condition.ObservedGeneration, condition.Message)
	}
	for _, word := range words {
		if !strings.Contains(condition.Message, word) {
			return fmt.Errorf("%s does not mention %q: %s", conditionType, word, condition.Message)
		}
	}
	return nil
}

func (w *world) untilReady(exs *v1alpha1.ExposedService) {
	w.t.Helper()
	w.eventually(exs.Name+" becomes Ready", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
}

func (w *world) untilNotAccepted(exs *v1alpha1.ExposedService, reason v1alpha1.Reason, words ...string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s is refused with %s", exs.Name, reason), func() error {
		return w.conditionIs(exs, refusedBy(reason), metav1.ConditionFalse, reason, words...)
	})
}

// refusedBy is the condition that has a reason why a spec cannot be served.
func refusedBy(reason v1alpha1.Reason) string {
	for _, row := range v1alpha1.Reasons() {
		if row.Condition == v1alpha1.ConditionResolvedRefs && row.Reason == reason {
			return row.Condition
		}
	}
	return v1alpha1.ConditionAccepted
}

// eventNotes are the notes of the events about an ExposedService with a reason.
func (w *world) eventNotes(exs *v1alpha1.ExposedService, reason string) []string {
	w.t.Helper()
	var list eventsv1.EventList
	if err := w.kube.List(w.t.Context(), &list, client.InNamespace(exs.Namespace)); err != nil {
		w.t.Fatal(err)
	}
	var notes []string
	for _, event := range list.Items {
		if event.Reason == reason && event.Regarding.Name == exs.Name {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

// operator is one run of Headgate's controllers.
type operator struct {
	*exposure.Reconciler
	t         testing.TB
	transport *transport
	cache     client.Reader
	runs      shop.Runs
	cancel    context.CancelFunc
	ended     chan error
}

type operatorOption func(*Config, *transport)

// startOperator starts the controllers for the world's namespace and the named others. They end
// with the test, if not before.
func (w *world) startOperator(options ...operatorOption) *operator {
	w.t.Helper()
	config := Config{
		Registerer: prometheus.NewRegistry(), Namespaces: []string{w.namespace},
		// What a test has asked is on a loopback address.
		Dial: (&net.Dialer{}).DialContext,
		// So is the Prometheus server of a test, of which nobody knows before it begins.
		Prometheus: calls.ServersConfig{Addresses: true},
	}
	o := &operator{t: w.t, transport: &transport{}, ended: make(chan error, 1)}
	for _, option := range options {
		option(&config, o.transport)
	}
	restConfig := rest.CopyConfig(w.config)
	restConfig.QPS, restConfig.Burst = -1, 0
	restConfig.Wrap(func(next http.RoundTripper) http.RoundTripper {
		o.transport.next = next
		return o.transport
	})
	managerOptions, err := ManagerOptions(config.Namespaces)
	if err != nil {
		w.t.Fatal(err)
	}
	managerOptions.Metrics.BindAddress = "0"
	managerOptions.Controller.SkipNameValidation = ptr.To(true)
	if o.transport.standingBy {
		managerOptions.LeaderElection = true
		managerOptions.LeaderElectionResourceLockInterface = taken{}
	}
	mgr, err := ctrl.NewManager(restConfig, managerOptions)
	if err != nil {
		w.t.Fatal(err)
	}
	o.cache = mgr.GetCache()
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.Reconciler, err = setup(ctx, mgr, config)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Reconciler.Running = o.runs.Begin
	go func() { o.ended <- mgr.Start(ctx) }()
	w.t.Cleanup(o.stop)
	return o
}

// stop ends the operator and waits until it has.
func (o *operator) stop() {
	o.cancel()
	if err, open := <-o.ended; open {
		if err != nil && !errors.Is(err, context.Canceled) && !o.transport.isCut() {
			o.t.Errorf("the operator ended: %v", err)
		}
		close(o.ended)
	}
}

func alsoIn(namespaces ...string) operatorOption {
	return func(config *Config, _ *transport) { config.Namespaces = append(config.Namespaces, namespaces...) }
}

// standingBy has an operator wait for a leadership that it does not get: it runs what runs on every replica.
func standingBy(_ *Config, transport *transport) { transport.standingBy = true }

func everywhere(config *Config, _ *transport) { config.Namespaces = nil }

// untilQuiet waits until nothing is reconciled and nothing is written for a while.
func (w *world) untilQuiet(o *operator) {
	w.t.Helper()
	w.untilQuietFor(o, 500*time.Millisecond)
}

// untilSettled waits until new Services have come of age, too, which is when everything is looked at once more.
func (w *world) untilSettled(o *operator) {
	w.t.Helper()
	w.untilQuietFor(o, facts.NewServiceAge+time.Second)
}

func (w *world) untilQuietFor(o *operator, quiet time.Duration) {
	w.t.Helper()
	number := func() (int, error) {
		if n := o.runs.GoingOn(); n > 0 {
			return 0, fmt.Errorf("%d runs have not ended", n)
		}
		return o.runs.Sum() + len(o.transport.written()), nil
	}
	w.eventually("the operator comes to rest", shop.Quiet(quiet, number, func() error { return o.caughtUp(w) }))
}

// caughtUp is nil when the operator's caches have what there is in the world's namespace, or cannot have it. A GatewayClass is in none.
func (o *operator) caughtUp(w *world) error {
	if o.transport.isCut() || o.transport.isBlind() {
		return nil
	}
	lists := []func() client.ObjectList{func() client.ObjectList { return &v1alpha1.ExposedServiceList{} }}
	for _, k := range kube.AllKinds {
		if o.Kinds.Has(k) && k.GVK != kube.KindClass.GVK {
			lists = append(lists, k.NewList)
		}
	}
	return shop.CaughtUp(w.t.Context(), w.kube, o.cache, w.namespace, lists...)
}

// counterValue reads a counter.
func counterValue(t testing.TB, counter prometheus.Counter) float64 {
	t.Helper()
	var metric dto.Metric
	if err := counter.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue()
}
