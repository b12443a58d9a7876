package workload

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// input is a golden input: a Deployment as it stands in the cluster, and its configuration.
type input struct {
	Deployment appsv1.Deployment  `json:"deployment"`
	ConfigMaps []corev1.ConfigMap `json:"configMaps,omitempty"`
	Secrets    []corev1.Secret    `json:"secrets,omitempty"`
}

// output is everything that is made of an input.
type output struct {
	Revision string             `json:"revision"`
	Canary   *appsv1.ReplicaSet `json:"canary"`
	Held     map[string]any     `json:"held"`
	GivenUp  map[string]any     `json:"givenUp"`
}

// TestGolden builds what testdata/*.in.yaml ask for and compares it with *.out.yaml.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, path := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) {
			got, err := yaml.Marshal(build(t, path))
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

func build(t *testing.T, path string) output {
	t.Helper()
	var in input
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &in); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var configs []Config
	for i := range in.ConfigMaps {
		configs = append(configs, Config{Kind: "ConfigMap", Name: in.ConfigMaps[i].Name, Digest: ConfigMapDigest(&in.ConfigMaps[i])})
	}
	for i := range in.Secrets {
		configs = append(configs, Config{Kind: "Secret", Name: in.Secrets[i].Name, Digest: SecretDigest(&in.Secrets[i])})
	}
	config := ConfigHash(configs, "0d9b7b7d")
	revision, err := Revision(&in.Deployment.Spec.Template, config)
	if err != nil {
		t.Fatal(err)
	}
	before := in.Deployment.DeepCopy()
	canary := Canary(&in.Deployment, revision, "greeter", nil)
	if diff := cmp.Diff(before, &in.Deployment); diff != "" {
		t.Errorf("the Deployment that was given has changed:\n%s", diff)
	}
	isTaken(t, &in.Deployment, canary)
	return output{
		Revision: revision, Canary: canary,
		Held:    Own(&in.Deployment, Owned{Mark: "greeter", Paused: ptr.To(true), Config: config, Version: "7"}).Object,
		GivenUp: Own(&in.Deployment, Owned{}).Object,
	}
}

// isTaken is what makes Kubernetes take a ReplicaSet for the Deployment's new one: it selects its own pods, which the Deployment selects
// too, and its template is equal.
func isTaken(t *testing.T, d *appsv1.Deployment, canary *appsv1.ReplicaSet) {
	t.Helper()
	pods := labels.Set(canary.Spec.Template.Labels)
	for name, selector := range map[string]*metav1.LabelSelector{"its own": canary.Spec.Selector, "the Deployment's": d.Spec.Selector} {
		if s, err := metav1.LabelSelectorAsSelector(selector); err != nil || !s.Matches(pods) {
			t.Errorf("%s selector %s misses the canary's pods: %v", name, s, err)
		}
	}
	if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err != nil || !s.Matches(labels.Set(canary.Labels)) {
		t.Errorf("the Deployment does not adopt what it does not select: %v, %v", canary.Labels, err)
	}
	if sets := []*appsv1.ReplicaSet{canary}; FindVersion(&d.Spec.Template, sets) != canary || Find(&d.Spec.Template, sets) != canary || IsMarked(canary) {
		t.Error("the canary's template is not the Deployment's")
	}
}

func TestBoundsAreThoseOfKubernetes(t *testing.T) {
	text := func(s string) *intstr.IntOrString { return ptr.To(intstr.Parse(s)) }
	for name, c := range map[string]struct {
		replicas           int32
		surge, unavailable *intstr.IntOrString
		wantSurge, wantOut int32
	}{
		"a quarter":             {4, text("25%"), text("25%"), 1, 1},
		"up and down":           {5, text("25%"), text("25%"), 2, 1},
		"none said":             {10, nil, nil, 3, 2},
		"numbers":               {10, text("3"), text("0"), 3, 0},
		"neither":               {3, text("0"), text("25%"), 0, 1},
		"one pod":               {1, text("25%"), text("25%"), 1, 0},
		"no more than there is": {4, text("0"), text("100%"), 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &c.replicas, Strategy: appsv1.DeploymentStrategy{
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: c.surge, MaxUnavailable: c.unavailable},
			}}}
			if surge, unavailable := Bounds(d); surge != c.wantSurge || unavailable != c.wantOut {
				t.Errorf("%d and %d, want %d and %d", surge, unavailable, c.wantSurge, c.wantOut)
			}
		})
	}
}

func TestARestartIsTheSameVersion(t *testing.T) {
	with := func(image string, annotations map[string]string) *corev1.PodTemplateSpec {
		return &corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelTemplateHash: image}, Annotations: annotations},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Image: image}}},
		}
	}
	stable := with("v1", nil)
	for name, c := range map[string]struct {
		template *corev1.PodTemplateSpec
		want     bool
	}{
		"restarted":                          {with("v1", map[string]string{annotationRestarted: "now"}), true},
		"restarted, with its configuration":  {with("v1", map[string]string{annotationRestarted: "now", AnnotationConfig: "c"}), true},
		"as it was":                          {with("v1", nil), false},
		"another image":                      {with("v2", map[string]string{annotationRestarted: "now"}), false},
		"another annotation":                 {with("v1", map[string]string{annotationRestarted: "now", "a": "b"}), false},
		"a restart that was taken back only": {with("v1", map[string]string{}), false},
	} {
		if got := IsRestart(stable, c.template); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if IsRestart(with("v1", map[string]string{annotationRestarted: "now"}), with("v1", map[string]string{annotationRestarted: "now"})) {
		t.Error("the same restart is another one")
	}
}

// When a Deployment comes back from no pods, Kubernetes starts this one.
func TestLatest(t *testing.T) {
	set := func(name, image string, at int64) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Unix(at, 0)},
			Spec: appsv1.ReplicaSetSpec{Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{LabelTemplateHash: name}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Image: image}}},
			}},
		}
	}
	old, twin, newest := set("a", "v1", 1), set("b", "v1", 2), set("c", "v2", 3)
	all := []*appsv1.ReplicaSet{newest, twin, old}
	for image, want := range map[string]*appsv1.ReplicaSet{"v1": old, "v2": newest, "v3": newest} {
		if got := Latest(&set("", image, 0).Spec.Template, all); got != want {
			t.Errorf("%s: %s, want %s", image, got.Name, want.Name)
		}
	}
	if Latest(&old.Spec.Template, nil) != nil {
		t.Error("there is none")
	}
	again := Anew(newest)
	again.CreationTimestamp = metav1.NewTime(time.Unix(4, 0))
	if !SameTemplate(&again.Spec.Template, &newest.Spec.Template) || HashOf(again) != HashOf(newest) || *again.Spec.Replicas != 0 {
		t.Errorf("made anew it is another version: %+v", again)
	}
}
