// Command gitops-health says what GitOps tools think of an object, which it reads from its standard input as JSON: Flux, by kstatus, and
// Argo CD, by the rules of its engine. What it prints is JSON as well.
//
// It is a module of its own. Argo CD's engine needs the packages of Kubernetes 1.23, and for those older ones of others: go.mod holds
// them back. Its rule for Deployments is that of Argo CD today.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/gitops-engine/pkg/health"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// opinion is what a tool thinks.
type opinion struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gitops-health:", err)
		os.Exit(1)
	}
}

func run() error {
	var object unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		return fmt.Errorf("read an object: %w", err)
	}
	argo, err := health.GetResourceHealth(&object, nil)
	if err != nil {
		return fmt.Errorf("Argo CD: %w", err)
	}
	if argo == nil {
		// Argo CD leaves what it has no rule for out of the health of an application.
		argo = &health.HealthStatus{}
	}
	flux, err := status.Compute(&object)
	if err != nil {
		return fmt.Errorf("kstatus: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]opinion{
		"argocd":  {string(argo.Status), argo.Message},
		"kstatus": {string(flux.Status), flux.Message},
	})
}
