package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// results are all that was found.
type results struct {
	// Machine is what it was found on, without a name or a date.
	Machine    string            `json:"machine"`
	Runs       int               `json:"runs"`
	Contenders []contenderResult `json:"contenders"`
	Results    []result          `json:"results"`
	Idle       []idle            `json:"idle"`
}

// contenderResult is who was measured.
type contenderResult struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Settings string `json:"settings"`
	Version  string `json:"version"`
}

func readResults(file string) (results, error) {
	var out results
	text, err := os.ReadFile(file)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("read results from %s: %w", file, err)
	}
	return out, nil
}

func (r *results) write(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // for everybody to read
}

// of are the results of one tool in one scenario.
func (r *results) of(contender, scenario string) []result {
	var out []result
	for _, one := range r.Results {
		if one.Contender == contender && one.Scenario == scenario {
			out = append(out, one)
		}
	}
	return out
}

// idleOf is what one tool costs; nil: not measured.
func (r *results) idleOf(contender string) *idle {
	at := slices.IndexFunc(r.Idle, func(one idle) bool { return one.Contender == contender })
	if at < 0 {
		return nil
	}
	return &r.Idle[at]
}

// version is the tag of the image that a controller runs.
func (b *bench) version(ctx context.Context, s seat) (string, error) {
	var deployment appsv1.Deployment
	if err := b.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.deployment}, &deployment); err != nil {
		return "", err
	}
	image := deployment.Spec.Template.Spec.Containers[0].Image
	_, tag, _ := strings.Cut(filepath.Base(image), ":")
	return strings.TrimPrefix(tag, "v"), nil
}
