package apiserver

import (
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Bare starts an API server of the test's own that has no CRDs but Headgate's, for tests of what
// happens when those of Gateway API and Envoy Gateway come and go. It ends with the test.
func Bare(t testing.TB) (*rest.Config, client.Client) {
	t.Helper()
	if os.Getenv(assets) == "" {
		t.Skip("no API server: KUBEBUILDER_ASSETS is not set; `make test-unit` sets it")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root(), "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("start the API server: %v", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	kube, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return config, client.WithFieldValidation(kube, metav1.FieldValidationStrict)
}

// InstallOtherCRDs gives an API server the CRDs of Gateway API and Envoy Gateway.
func InstallOtherCRDs(t testing.TB, config *rest.Config) {
	t.Helper()
	paths, err := OtherCRDs()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true}); err != nil {
		t.Fatalf("install CRDs: %v", err)
	}
}
