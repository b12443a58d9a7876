package resource_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/resource"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// input is a golden input: ExposedServices, and what is known of their backends.
type input struct {
	Exposures []exposure `json:"exposures"`
}

type exposure struct {
	Service  v1alpha1.ExposedService     `json:"service"`
	Backends map[string]resource.Backend `json:"backends"`
	Slots    map[string]v1alpha1.Slot    `json:"slots,omitempty"`
}

func (in input) build() resource.Result {
	exposures := make([]resource.Exposure, len(in.Exposures))
	for i := range in.Exposures {
		exposures[i] = resource.Exposure{Service: &in.Exposures[i].Service, Backends: in.Exposures[i].Backends, Slots: in.Exposures[i].Slots}
	}
	return resource.Build(exposures)
}

// golden calls f with each testdata/*.in.yaml.
func golden(t *testing.T, f func(t *testing.T, path string, in input)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no inputs in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var in input
			if err := yaml.UnmarshalStrict(text, &in); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			f(t, path, in)
		})
	}
}

// TestGolden compares what each testdata/*.in.yaml becomes with its *.out.yaml.
// `go test ./xds/resource -update` writes them anew.
func TestGolden(t *testing.T) {
	golden(t, func(t *testing.T, path string, in input) {
		t.Helper()
		got := render(t, in.build())
		out := strings.TrimSuffix(path, ".in.yaml") + ".out.yaml"
		if *update {
			if err := os.WriteFile(out, got, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs (-want +got); if that is right, run: go test ./xds/resource -update\n%s", out, diff)
		}
	})
}

// TestMessagesKeepTheirOwnRules asks the validation that comes with each message.
func TestMessagesKeepTheirOwnRules(t *testing.T) {
	golden(t, func(t *testing.T, _ string, in input) {
		t.Helper()
		for _, r := range in.build().Resources {
			message, ok := r.Message.(interface{ ValidateAll() error })
			if !ok {
				t.Fatalf("%s %s has no rules", r.TypeURL(), r.Name)
			}
			if err := message.ValidateAll(); err != nil {
				t.Errorf("%s %s: %v", r.TypeURL(), r.Name, err)
			}
		}
	})
}

// page is a resource as it stands in a golden file.
type page struct {
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Audience resource.Audience `json:"audience"`
	Owners   []string          `json:"owners"`
	Message  any               `json:"message"`
}

func render(t *testing.T, result resource.Result) []byte {
	t.Helper()
	var buffer bytes.Buffer
	write := func(value any) {
		text, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		buffer.WriteString("---\n")
		buffer.Write(text)
	}
	problems := map[string][]resource.Problem{}
	for key, list := range result.Problems {
		problems[key.String()] = list
	}
	write(map[string]any{"problems": problems})
	for _, r := range result.Resources {
		write(page{
			Type: string(r.Message.ProtoReflect().Descriptor().Name()), Name: r.Name, Audience: r.Audience,
			Owners: keys(r.Owners), Message: plain(t, r),
		})
	}
	return buffer.Bytes()
}

func keys(names []types.NamespacedName) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name.String()
	}
	return out
}

// plain is a message as plain data: protojson puts spaces at random, and its fields in no order that we chose.
func plain(t *testing.T, r resource.Resource) any {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r.Message)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
