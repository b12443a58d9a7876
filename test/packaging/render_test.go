package packaging

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// chart is the Helm chart, seen from this folder; the other paths here are relative to it as well.
var chart = filepath.Join("..", "..", "charts", "headgate")

// repository returns the path of a file or folder of the repository.
func repository(parts ...string) string {
	return filepath.Join(append([]string{"..", ".."}, parts...)...)
}

// objects are Kubernetes objects by kind and name; of a second one with both, in another namespace, the key has the namespace
// as well.
type objects map[string]*unstructured.Unstructured

// render returns what the chart installs as release headgate in namespace headgate-system. It skips
// the test where there is no Helm.
func render(t *testing.T, args ...string) objects {
	t.Helper()
	output, err := helmTemplate(t, args...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, output)
	}
	return decode(t, output)
}

func helmTemplate(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	args = append([]string{"template", "headgate", chart, "--namespace", "headgate-system", "--kube-version", "1.36.0"}, args...)
	return exec.CommandContext(t.Context(), program(t, "helm"), args...).CombinedOutput()
}

// kustomize returns what a kustomization makes.
func kustomize(t *testing.T, folder string) objects {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program(t, "kubectl"), "kustomize", folder).Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v", folder, err)
	}
	return decode(t, output)
}

// program finds helm or kubectl. hack/test.sh puts both into PATH.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("there is no %s in PATH; `PATH=$(go run ./test/cluster bin):$PATH` adds it", name)
	}
	return path
}

func decode(t *testing.T, content []byte) objects {
	t.Helper()
	decoded := objects{}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return decoded
		}
		if err != nil {
			t.Fatalf("decode objects: %v", err)
		}
		if len(object.Object) > 0 {
			name := object.GetKind() + " " + object.GetName()
			if _, taken := decoded[name]; taken {
				name += " in " + object.GetNamespace()
			}
			decoded[name] = object
		}
	}
}

func decodeFile(t *testing.T, path string) objects {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, content)
}

// get returns an object that must be there.
func (o objects) get(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	object, ok := o[name]
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return object
}

// all returns the objects of a kind and name in all namespaces.
func (o objects) all(name string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for key, object := range o {
		if key == name || strings.HasPrefix(key, name+" in ") {
			out = append(out, object)
		}
	}
	return out
}
