package workload

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// input is a golden input: a Deployment as it stands in the cluster, its Service, and who else selects pods.
type input struct {
	Deployment           appsv1.Deployment              `json:"deployment"`
	Service              corev1.Service                 `json:"service"`
	Services             []corev1.Service               `json:"services,omitempty"`
	PodDisruptionBudgets []policyv1.PodDisruptionBudget `json:"podDisruptionBudgets,omitempty"`
	ConfigMaps           []corev1.ConfigMap             `json:"configMaps,omitempty"`
	Secrets              []corev1.Secret                `json:"secrets,omitempty"`
	Replicas             int32                          `json:"replicas"`
}

func (in *input) selectors(t *testing.T) []Selector {
	var out []Selector
	for _, s := range append([]corev1.Service{in.Service}, in.Services...) {
		out = append(out, Selector{Name: "Service " + s.Name, Selector: labels.SelectorFromSet(s.Spec.Selector)})
	}
	for _, p := range in.PodDisruptionBudgets {
		selector, err := metav1.LabelSelectorAsSelector(p.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Selector{Name: "PodDisruptionBudget " + p.Name, Selector: selector})
	}
	return out
}

// output is everything that is made of an input.
type output struct {
	Revision string             `json:"revision,omitempty"`
	Canary   *appsv1.Deployment `json:"canary,omitempty"`
	Service  *corev1.Service    `json:"service,omitempty"`
	Held     map[string]any     `json:"held,omitempty"`
	GivenUp  map[string]any     `json:"givenUp,omitempty"`
	Error    string             `json:"error,omitempty"`
}

// TestGolden builds what testdata/*.in.yaml ask for and compares it with *.out.yaml.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, path := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) {
			var in input
			read(t, path, &in)
			got, err := yaml.Marshal(build(t, &in))
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("not as in %s (go test ./rollout/workload -update rewrites it):\n%s", golden, diff)
			}
		})
	}
}

func build(t *testing.T, in *input) output {
	var configs []Config
	for _, c := range in.ConfigMaps {
		configs = append(configs, Config{"ConfigMap", c.Name, ConfigMapDigest(&c)})
	}
	for _, s := range in.Secrets {
		configs = append(configs, Config{"Secret", s.Name, SecretDigest(&s)})
	}
	config := ConfigHash(configs)
	revision, err := Revision(&in.Deployment.Spec.Template, config)
	if err != nil {
		t.Fatal(err)
	}
	before := in.Deployment.DeepCopy()
	canary, err := Canary(&in.Deployment, Plan{Owner: "greeter", Revision: revision, Config: config, Replicas: in.Replicas, Others: in.selectors(t)})
	if err != nil {
		return output{Error: err.Error()}
	}
	if diff := cmp.Diff(before, &in.Deployment); diff != "" {
		t.Errorf("the Deployment that was given has changed:\n%s", diff)
	}
	checkApart(t, in, canary)
	service, err := Service(&in.Service, 50051, canary)
	if err != nil {
		t.Fatal(err)
	}
	return output{
		Revision: revision, Canary: canary, Service: service,
		Held: Hold(&in.Deployment, true, config).Object, GivenUp: GiveUp(&in.Deployment).Object,
	}
}

// checkApart is the point of it all: nobody but the canary's own Deployment and Service catches its pods, and those catch no others.
func checkApart(t *testing.T, in *input, canary *appsv1.Deployment) {
	t.Helper()
	stable, err := metav1.LabelSelectorAsSelector(in.Deployment.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	pods := labels.Set(canary.Spec.Template.Labels)
	for _, s := range append(in.selectors(t), Selector{Name: "Deployment", Selector: stable}) {
		if s.Selector.Matches(pods) {
			t.Errorf("%s catches the canary's pods", s.Name)
		}
	}
	own, err := metav1.LabelSelectorAsSelector(canary.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !own.Matches(pods) || own.Matches(labels.Set(in.Deployment.Spec.Template.Labels)) {
		t.Errorf("the canary's selector %s catches the wrong pods", own)
	}
}

func TestCanaryOfAnotherRevisionIsRefused(t *testing.T) {
	var in input
	read(t, "testdata/plain.in.yaml", &in)
	_, err := Canary(&in.Deployment, Plan{Owner: "greeter", Revision: "0123456789", Replicas: 1})
	if err == nil || !strings.Contains(err.Error(), "0123456789") {
		t.Errorf("error: %v", err)
	}
}

// A PodDisruptionBudget may be why a label was chosen that is not the first: it is not read again for a canary that is there.
func TestTheLabelOfALiveCanaryStays(t *testing.T) {
	var in input
	read(t, "testdata/two-labels.in.yaml", &in)
	key, value, err := Distinguish(&in.Deployment, nil, in.selectors(t))
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := Distinguish(&in.Deployment, nil, nil)
	if err != nil || first == key {
		t.Fatalf("%s is chosen whatever others select by: %v", first, err)
	}
	live := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: canarySelector(&in.Deployment, key, value)}}}
	if got, _, err := Distinguish(&in.Deployment, live, nil); err != nil || got != key {
		t.Errorf("%s, not %s: %v", got, key, err)
	}
}

func TestKeptCanaryChangesOnlyItsSize(t *testing.T) {
	var in input
	read(t, "testdata/plain.in.yaml", &in)
	revision, err := Revision(&in.Deployment.Spec.Template, "")
	if err != nil {
		t.Fatal(err)
	}
	canary, err := Canary(&in.Deployment, Plan{Owner: "greeter", Revision: revision, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	kept := Kept(canary, 0)
	if *kept.Spec.Replicas != 0 || *canary.Spec.Replicas != 3 {
		t.Errorf("%d replicas, before %d", *kept.Spec.Replicas, *canary.Spec.Replicas)
	}
	*kept.Spec.Replicas = 3
	if diff := cmp.Diff(canary, kept); diff != "" {
		t.Errorf("more has changed:\n%s", diff)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
