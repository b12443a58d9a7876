package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// TestGoldenIsTaken gives every golden ExposedService and what it becomes to the real API server with
// the real CRDs, with strict validation: a field that a CRD would drop, or refuse, fails here.
func TestGoldenIsTaken(t *testing.T) {
	kube := apiserver.Client(t)
	for _, name := range []string{"shop", "infra"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := client.IgnoreAlreadyExists(kube.Create(context.Background(), namespace)); err != nil {
			t.Fatal(err)
		}
	}
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) {
			t.Parallel()
			in := readInput(t, path)
			if !strings.Contains(path, "override-protected") { // which the CRD itself refuses
				if err := kube.Create(context.Background(), in.ExposedService.DeepCopy(), client.DryRunAll); err != nil {
					t.Errorf("the ExposedService: %v", err)
				}
			}
			for _, object := range gateway.Resolve(&in.ExposedService, in.facts()).Expand().Objects {
				kind, name := object.GetObjectKind().GroupVersionKind().Kind, object.GetName()
				if err := kube.Create(context.Background(), object, client.DryRunAll); err != nil {
					t.Errorf("%s %s: %v", kind, name, err)
				}
			}
		})
	}
}
