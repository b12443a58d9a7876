package packaging

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
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
	if kinds["ExposedService"] < 3 || kinds["ReferenceGrant"] < 1 || kinds["ResourceQuota"] < 1 {
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

// A changed pod template of a Deployment with the mark is held in the write that changes it; every other write goes through as it is.
func TestTheAdmissionPolicyHoldsChangedTemplates(t *testing.T) {
	kube := apiserver.Client(t)
	for _, object := range decodeFile(t, repository("config", "admission-policy", "policy.yaml")) {
		if err := kube.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	marked, plain := newDeployment(t, kube, "marked"), newDeployment(t, kube, "plain")
	marked.Labels = map[string]string{v1alpha1.LabelRollout: "greeter"}
	marked.Spec.Replicas = ptr.To[int32](3)
	if err := kube.Update(t.Context(), marked); err != nil || marked.Spec.Paused {
		t.Fatalf("without a changed template: paused %t, %v", marked.Spec.Paused, err)
	}
	restart := func(d *appsv1.Deployment, options ...client.UpdateOption) *appsv1.Deployment {
		t.Helper()
		d = d.DeepCopy()
		d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": time.Now().String()}
		if err := kube.Update(t.Context(), d, options...); err != nil {
			t.Fatal(err)
		}
		return d
	}
	// The API server takes a new policy in by itself, at its time.
	for deadline := time.Now().Add(time.Minute); !restart(marked, client.DryRunAll).Spec.Paused; {
		if time.Now().After(deadline) {
			t.Fatal("the policy is not in force")
		}
	}
	if restart(plain).Spec.Paused {
		t.Error("a Deployment without the mark is held")
	}
	held := restart(marked)
	if !held.Spec.Paused {
		t.Error("a changed template is not held")
	}
	held.Spec.Paused = false
	if err := kube.Update(t.Context(), held); err != nil || held.Spec.Paused {
		t.Errorf("released without a changed template: paused %t, %v", held.Spec.Paused, err)
	}
}

func newDeployment(t *testing.T, kube client.Client, name string) *appsv1.Deployment {
	t.Helper()
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: apiserver.Namespace(t, kube), Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
			},
		},
	}
	if err := kube.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
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
