package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/test/shop"
)

// operator is one life of Headgate's controllers.
type operator struct {
	w         *world
	transport *transport
	cache     client.Reader
	runs      shop.Runs
	cancel    context.CancelFunc
	ended     chan error
	// leads is closed when it has begun to work.
	leads    <-chan struct{}
	stopOnce sync.Once
}

// startOperator starts one for the world's namespace; with everywhere, for all namespaces. It ends with the test, if not before.
func (w *world) startOperator(with ...func(*controllers.Config, *transport)) *operator {
	w.Helper()
	o := &operator{w: w, transport: &transport{}, ended: make(chan error, 1)}
	config := controllers.Config{
		Registerer: prometheus.NewRegistry(), Namespaces: []string{w.namespace}, Clock: w.clock, Resolver: w.hosts, Transport: w.pages,
		// What a test has asked is on a loopback address.
		Dial:       (&net.Dialer{}).DialContext,
		Prometheus: calls.ServersConfig{Addresses: true},
		Running:    o.runs.Begin,
	}
	for _, f := range with {
		f(&config, o.transport)
	}
	if w.infra != "" && len(config.Namespaces) > 0 {
		config.Namespaces = append(config.Namespaces, w.infra)
	}
	restConfig := rest.CopyConfig(w.config)
	restConfig.Wrap(func(next http.RoundTripper) http.RoundTripper {
		o.transport.next = next
		return o.transport
	})
	options, err := controllers.ManagerOptions(config.Namespaces)
	if err != nil {
		w.Fatal(err)
	}
	options.Metrics.BindAddress = "0"
	options.Controller.SkipNameValidation = ptr.To(true)
	// No kind comes or goes here, so that all operators may know the same.
	options.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return w.kube.RESTMapper(), nil }
	mgr, err := ctrl.NewManager(restConfig, options)
	if err != nil {
		w.Fatal(err)
	}
	o.cache = mgr.GetCache()
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	if err := controllers.Setup(ctx, mgr, config); err != nil {
		cancel()
		w.Fatal(err)
	}
	o.leads = mgr.Elected()
	go func() { o.ended <- mgr.Start(ctx) }()
	w.Cleanup(o.stop)
	done.add("operators started", 1)
	return o
}

// withTransport has an operator start with these disturbances.
func withTransport(with ...func(*transport)) func(*controllers.Config, *transport) {
	return func(_ *controllers.Config, t *transport) {
		for _, f := range with {
			f(t)
		}
	}
}

func everywhere(config *controllers.Config, _ *transport) { config.Namespaces = nil }

// stop ends the operator and waits until it has.
func (o *operator) stop() {
	o.stopOnce.Do(func() {
		o.cancel()
		if err := <-o.ended; err != nil && !errors.Is(err, context.Canceled) && !o.transport.isCut() {
			o.w.Errorf("the operator ended: %v", err)
		}
	})
}

// quietTime is for how long nothing is to run, for a world to be quiet.
const quietTime = 400 * time.Millisecond

// untilQuiet waits until operators have not run for the namespace for a while.
func (w *world) untilQuiet(operators ...*operator) {
	w.Helper()
	w.untilQuietFor(quietTime, operators...)
}

func (w *world) untilQuietFor(quiet time.Duration, operators ...*operator) {
	w.Helper()
	w.eventually("the operator comes to rest", shop.Quiet(quiet, func() (int, error) {
		sum := 0
		for _, o := range operators {
			select {
			case <-o.leads:
			default:
				return 0, errors.New("it has not begun")
			}
			if n := o.runs.GoingOnIn(w.namespace); n > 0 {
				return 0, fmt.Errorf("%d runs have not ended", n)
			}
			for _, n := range o.runs.In(w.namespace) {
				sum += n
			}
		}
		return sum, nil
	}, func() error {
		for _, o := range operators {
			if err := o.caughtUp(); err != nil {
				return err
			}
		}
		return nil
	}))
}

// caughtUp is nil when the operator's caches have what there is in its world's namespace, or cannot have it.
func (o *operator) caughtUp() error {
	if o.transport.isCut() || o.transport.isBehind() {
		return nil
	}
	return shop.CaughtUp(context.Background(), o.w.kube, o.cache, o.w.namespace,
		func() client.ObjectList { return &v1alpha1.ExposedServiceList{} },
		func() client.ObjectList { return &corev1.ServiceList{} },
		func() client.ObjectList { return &discoveryv1.EndpointSliceList{} },
		func() client.ObjectList { return &gwapiv1.GatewayList{} },
		func() client.ObjectList { return &gwapiv1.GRPCRouteList{} },
		func() client.ObjectList { return &egv1a1.BackendTrafficPolicyList{} },
		func() client.ObjectList { return &egv1a1.EnvoyPatchPolicyList{} },
		func() client.ObjectList { return &egv1a1.BackendList{} },
		func() client.ObjectList { return &egv1a1.EnvoyProxyList{} },
	)
}
