package tenancy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/dataplane"
	"github.com/headgate/headgate/test/shop"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

const (
	// release is the namespace of the chart's release, and operator its ServiceAccount.
	release  = "headgate-system"
	operator = "system:serviceaccount:" + release + ":headgate"
	class    = "edge"
	// patience bounds every wait; on a machine that others keep busy nothing takes as long.
	patience = 3 * time.Minute
)

// cluster is what all tests share: what the chart installs, the operator with its rights, a data plane, and somebody whose things others want.
type cluster struct {
	config *rest.Config
	admin  client.Client
	// victim is a namespace with a Service "payments", which is exposed as payments.example.com on Gateway infra/public.
	victim, infra string
	payments      *corev1.Service
	hosts         *names
}

// names answers look-ups of hosts.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
}

// LookupHost implements facts.Resolver.
func (n *names) LookupHost(_ context.Context, host string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if found := n.answers[strings.TrimSuffix(host, ".")]; len(found) > 0 {
		return found, nil
	}
	return nil, errors.New("no such host")
}

func (n *names) set(host string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[host] = addresses
}

// rendered is what the chart makes with some settings.
func rendered(t *testing.T, settings ...string) []*unstructured.Unstructured {
	t.Helper()
	helm, err := exec.LookPath("helm")
	if err != nil {
		t.Skip("there is no helm in PATH; `PATH=$(go run ./test/cluster bin):$PATH` adds it")
	}
	args := append([]string{"template", "headgate", filepath.Join("..", "..", "charts", "headgate"), "--namespace", release, "--kube-version", "1.36.0"}, settings...)
	output, err := exec.CommandContext(t.Context(), helm, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, output)
	}
	var out []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(output), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		case len(object.Object) > 0:
			out = append(out, object)
		}
	}
}

// installed are the groups of what is installed here: rights and policies. The operator itself runs in the test.
var installed = []string{rbacv1.GroupName, "admissionregistration.k8s.io"}

// install installs the rights and policies of the chart, and starts the operator with these rights.
func install(t *testing.T, ownership bool, settings ...string) *cluster {
	t.Helper()
	c := &cluster{config: apiserver.Config(t), admin: apiserver.Client(t), hosts: &names{answers: map[string][]string{}}}
	objects := rendered(t, settings...)
	if err := c.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: release}}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	for _, object := range objects {
		group := object.GroupVersionKind().Group
		if group != installed[0] && group != installed[1] {
			continue
		}
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
		t.Cleanup(func() {
			if err := c.admin.Delete(context.Background(), object); err != nil {
				t.Error(err)
			}
		})
	}
	c.victim, c.infra = apiserver.Namespace(t, c.admin), apiserver.Namespace(t, c.admin)
	c.start(t, ownership)
	c.expose(t)
	return c
}

// start runs the operator as its ServiceAccount, with the flags that the chart gives it.
func (c *cluster) start(t *testing.T, ownership bool) {
	t.Helper()
	config := rest.CopyConfig(c.config)
	config.QPS, config.Burst = -1, 0
	config.Impersonate = rest.ImpersonationConfig{UserName: operator, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	options, err := controllers.ManagerOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	options.Metrics.BindAddress = "0"
	options.Controller.SkipNameValidation = ptr.To(true)
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the operator's rights", func() error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: operator, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "watch", Group: "headgate.dev", Resource: "exposedservices"},
		}}
		if err := c.admin.Create(t.Context(), review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return errors.New("not yet")
		}
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := controllers.Setup(ctx, mgr, controllers.Config{Registerer: prometheus.NewRegistry(), Resolver: c.hosts, HostOwnership: ownership}); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended: %v", err)
		}
	})
}

// expose makes the Gateway of the platform, and what the victim has behind it.
func (c *cluster) expose(t *testing.T) {
	t.Helper()
	gatewayClass := &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController},
	}
	public := &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: "public", Namespace: c.infra},
		Spec: gwapiv1.GatewaySpec{GatewayClassName: class, Listeners: []gwapiv1.Listener{{
			Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType,
			AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
		}}},
	}
	c.payments = shop.Service(c.victim, "payments")
	exposed := shop.ExposedService(c.victim, "payments", class)
	exposed.Spec.Gateway = onPublic(c)
	exposed.Spec.Hostnames = []v1alpha1.Hostname{"payments.example.com", "*.bank.example.com"}
	exposed.Spec.Backends = []v1alpha1.Backend{shop.ServiceBackend("payments", "payments")}
	for _, object := range []client.Object{gatewayClass, public, c.payments, shop.Slice(c.victim, "payments", "10.1.7.1")} {
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = c.admin.Delete(context.Background(), gatewayClass) })
	dataplane.Start(t, dataplane.Config{Config: c.config, Client: c.admin, Class: class})
	annotate(t, c, c.victim, "payments.example.com, *.bank.example.com")
	if err := c.admin.Create(t.Context(), exposed); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the victim's service is exposed", func() error {
		return conditionIs(t, c.admin, exposed, v1alpha1.ConditionExposed, metav1.ConditionTrue, "")
	})
	t.Cleanup(func() {
		if err := conditionIs(t, c.admin, exposed, v1alpha1.ConditionExposed, metav1.ConditionTrue, ""); err != nil {
			t.Errorf("in the end the victim's service is not exposed: %v", err)
		}
		if err := c.admin.Delete(context.Background(), exposed); err != nil {
			t.Error(err)
		}
	})
}

func onPublic(c *cluster) *v1alpha1.Gateway {
	return &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: &c.infra}}
}

// annotate gives host names to a namespace, as the platform does.
func annotate(t *testing.T, c *cluster, namespace, hostnames string) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"annotations": {"headgate.dev/hostnames": "`+hostnames+`"}}}`))
	if err := c.admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, patch); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	if err := apiserver.Poll(t.Context(), patience, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
