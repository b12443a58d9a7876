package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// argo is Argo Rollouts, installed by its manifests, with a plugin for the Gateway API.
type argo struct{ manifests string }

// argoImage is what test/cluster loads.
const argoImage = "quay.io/argoproj/argo-rollouts:v1.10.1"

func (argo) seat() seat {
	return seat{namespace: "argo-rollouts", deployment: "argo-rollouts", account: "argo-rollouts", lease: "argo-rollouts-controller-lock"}
}

func (a argo) install(ctx context.Context, b *bench, _ string) error {
	manifests, err := a.filledIn()
	if err != nil {
		return err
	}
	if err := b.MakeNamespace(ctx, a.seat().namespace); err != nil {
		return err
	}
	if err := b.doWith(ctx, manifests, "kubectl", "apply", "--server-side", "--force-conflicts", "--namespace", a.seat().namespace, "--filename", "-"); err != nil {
		return err
	}
	return b.UntilReady(ctx, a.seat().namespace, a.seat().deployment)
}

func (a argo) remove(ctx context.Context, b *bench) error {
	manifests, err := a.filledIn()
	if err != nil {
		return err
	}
	if err := b.doWith(ctx, manifests, "kubectl", "delete", "--ignore-not-found", "--namespace", a.seat().namespace, "--filename", "-"); err != nil {
		return err
	}
	return b.removeNamespace(ctx, a.seat().namespace)
}

// filledIn are the manifests for the image that is loaded, and what the plugin needs.
func (a argo) filledIn() (string, error) {
	install, err := os.ReadFile(filepath.Join(a.manifests, "install.yaml"))
	if err != nil {
		return "", err
	}
	plugin, err := render("argo-install.yaml", nil)
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer(
		"quay.io/argoproj/argo-rollouts:latest", argoImage,
		"imagePullPolicy: Always", "imagePullPolicy: IfNotPresent",
	).Replace(string(install))
	return withoutConfigMap(text) + "\n---\n" + plugin, nil
}

// withoutConfigMap leaves out the empty ConfigMap, in whose place comes one that names the plugin.
func withoutConfigMap(manifests string) string {
	var out []string
	for _, document := range strings.Split(manifests, "\n---\n") {
		if !strings.Contains(document, "\nkind: ConfigMap\n") {
			out = append(out, document)
		}
	}
	return strings.Join(out, "\n---\n")
}

func (argo) shape() string { return "argo.yaml" }

func (argo) object() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}
}

func (a argo) workload() schema.GroupVersionKind { return a.object() }

func (argo) settled(rollout *unstructured.Unstructured) bool {
	return argoProgress(rollout).state == promoted
}

func (argo) progress(rollout *unstructured.Unstructured) progress { return argoProgress(rollout) }
