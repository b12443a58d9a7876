package packaging

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// Every sample is accepted by the API server, with strict validation, as `kubectl apply` has it.
func TestTheAPIServerAcceptsTheSamples(t *testing.T) {
	kube := apiserver.Client(t)
	samples := kustomization(t, repository("config", "samples"))
	kinds := map[string]int{}
	for name, sample := range samples {
		kinds[sample.GetKind()]++
		if sample.GetNamespace() == "" {
			sample.SetNamespace("default")
		}
		ensureNamespace(t, kube, sample.GetNamespace())
		if err := kube.Create(t.Context(), sample, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if kinds["ExposedService"] < 3 || kinds["ReferenceGrant"] < 1 {
		t.Errorf("samples are missing: %v", kinds)
	}
}

// What NOTES.txt tells people to apply is accepted too.
func TestTheAPIServerAcceptsTheExampleInTheNotes(t *testing.T) {
	kube := apiserver.Client(t)
	notes, err := os.ReadFile(repository("charts", "headgate", "templates", "NOTES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(notes), "<<EOF\n")
	text, _, ends := strings.Cut(rest, "  EOF\n")
	if !begins || !ends {
		t.Fatal("there is no example between <<EOF and EOF")
	}
	text = strings.ReplaceAll(text, `{{ .Values.watchNamespaces | default (list "default") | first }}`, "default")
	for name, example := range decode(t, []byte(text)) {
		if err := kube.Create(t.Context(), example, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What both the chart and the kustomization install is accepted by the API server.
func TestTheAPIServerAcceptsWhatIsInstalled(t *testing.T) {
	kube := apiserver.Client(t)
	rendered := kustomize(t, repository("config", "default"))
	ensureNamespace(t, kube, "headgate-system")
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		object := rendered[name]
		if err := kube.Create(t.Context(), object, client.DryRunAll); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// kustomization reads the files that a kustomization without changes of its own lists.
func kustomization(t *testing.T, folder string) objects {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(folder + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := objects{}
	for _, entry := range entries {
		if entry.Name() == "kustomization.yaml" {
			continue
		}
		if !strings.Contains(string(index), "- "+entry.Name()+"\n") {
			t.Errorf("kustomization.yaml does not list %s", entry.Name())
		}
		maps.Copy(all, decodeFile(t, folder+"/"+entry.Name()))
	}
	return all
}

func ensureNamespace(t *testing.T, kube client.Client, name string) {
	t.Helper()
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(name)
	if err := kube.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}
