// Package apiserver gives tests a real API server: etcd and kube-apiserver from the folder that
// KUBEBUILDER_ASSETS names, with the CRDs of Headgate, Gateway API and Envoy Gateway. One server is
// started for each test binary, at the first test that asks for it; tests keep out of each other's
// way with namespaces.
//
//	func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		config := apiserver.Config(t) // skips without KUBEBUILDER_ASSETS
package apiserver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"

	"github.com/headgate/headgate/api/v1alpha1"
)

const assets = "KUBEBUILDER_ASSETS"

// shared is the server of this test binary.
var shared struct {
	sync.Mutex
	environment *envtest.Environment
	config      *rest.Config
	err         error

	// controllers are those of Kubernetes, once a test has asked for them.
	controllers    *controllers
	controllersErr error
}

// testsAtOnce is how many tests run side by side, whatever the number of processors: mostly they wait for the API server.
const testsAtOnce = 5

// Main runs the tests of a package and stops the API server after them. HEADGATE_TEST_LOG=1 shows what the controllers log.
func Main(m *testing.M) int { return MainAtOnce(m, testsAtOnce) }

// MainAtOnce is Main with so many tests side by side, unless -parallel says how many.
func MainAtOnce(m *testing.M, tests int) int {
	flag.Parse()
	const parallel = "test.parallel"
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == parallel })
	if !chosen {
		if err := flag.Set(parallel, strconv.Itoa(tests)); err != nil {
			panic(err)
		}
	}
	logger := logr.Discard()
	if os.Getenv("HEADGATE_TEST_LOG") != "" {
		logger = zap.New(zap.UseDevMode(true), zap.Level(zapcore.DebugLevel))
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.controllers != nil {
		if err := shared.controllers.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the controllers:", err)
		}
	}
	if shared.environment != nil {
		if err := shared.environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server:", err)
		}
	}
	return code
}

// Config is how the API server is reached, with the rights of its administrator. It starts the
// server if no test did before, and skips the test where there is none to start.
func Config(t testing.TB) *rest.Config {
	t.Helper()
	if os.Getenv(assets) == "" {
		t.Skip("no API server: KUBEBUILDER_ASSETS is not set; `make test-unit` sets it")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.environment == nil {
		shared.environment = &envtest.Environment{}
		shared.environment.CRDInstallOptions.Paths, shared.err = CRDs()
		shared.environment.ErrorIfCRDPathMissing = true
		// Dual stack, as clusters can be, with addresses for the Services of thousands of namespaces: none is ever given back.
		shared.environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/16,fd00:10::/112")
		if shared.err == nil {
			shared.config, shared.err = shared.environment.Start()
		}
	}
	if shared.err != nil {
		t.Fatalf("start the API server: %v", shared.err)
	}
	config := rest.CopyConfig(shared.config)
	// With a dialer of its own each client has connections of its own. Sharing them, the watches of all clients of a test binary are
	// more than the 100 streams that the API server lets a connection have, and at that bound it answers a new stream with
	// PROTOCOL_ERROR now and then: a server in Go may count one as open for a moment longer than its client does.
	config.Dial = (&net.Dialer{}).DialContext
	return config
}

// Client is a client of the API server that caches nothing. Like kubectl it asks for strict
// validation, so that a field which no schema has is an error.
func Client(t testing.TB) client.Client {
	t.Helper()
	kube, err := client.New(Config(t), client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(kube, metav1.FieldValidationStrict)
}

// Namespace makes a namespace for one test.
func Namespace(t testing.TB, kube client.Client) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := kube.Create(context.Background(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// Scheme has every type that Headgate deals with.
func Scheme() *kruntime.Scheme {
	scheme := kruntime.NewScheme()
	for _, add := range []func(*kruntime.Scheme) error{
		clientgoscheme.AddToScheme, gwapiv1.Install, gwapiv1beta1.Install, egv1a1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err) // a type registered twice: a mistake in this package
		}
	}
	return scheme
}

// CRDs are the files and folders with the CRDs of Headgate, Gateway API and Envoy Gateway.
func CRDs() ([]string, error) {
	others, err := OtherCRDs()
	return append(others, filepath.Join(root(), "config", "crd", "bases")), err
}

// OtherCRDs are those of Gateway API and Envoy Gateway, from Envoy Gateway's module.
func OtherCRDs() ([]string, error) {
	command := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/envoyproxy/gateway")
	command.Dir = root()
	command.Env = append(os.Environ(), "GOWORK=off")
	out, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("find the module of Envoy Gateway: %w", err)
	}
	crds := filepath.Join(strings.TrimSpace(string(out)), "charts", "gateway-helm", "charts", "crds", "crds")
	return []string{filepath.Join(crds, "gatewayapi-crds.yaml"), filepath.Join(crds, "generated")}, nil
}

// root is the root folder of the repository.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
