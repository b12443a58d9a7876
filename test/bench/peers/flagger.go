package main

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// flagger is Flagger, installed by its chart.
type flagger struct{ chart string }

func (flagger) seat() seat {
	return seat{namespace: "flagger-system", deployment: "flagger", account: "flagger"}
}

func (f flagger) install(ctx context.Context, b *bench, space string) error {
	if err := b.do(ctx, "helm", "upgrade", "--install", "flagger", f.chart, "--namespace", f.seat().namespace, "--create-namespace",
		"--set", "meshProvider=gatewayapi:v1", "--set", "namespace="+space, "--set", "metricsServer="+prometheusAddress(space)); err != nil {
		return err
	}
	// Its probes run wget, which an image of nothing but Flagger has not.
	if err := b.do(ctx, "kubectl", "patch", "deployment", "flagger", "--namespace", f.seat().namespace, "--patch",
		`{"spec":{"template":{"spec":{"containers":[{"name":"flagger","livenessProbe":null,"readinessProbe":null}]}}}}`); err != nil {
		return err
	}
	return b.UntilReady(ctx, f.seat().namespace, f.seat().deployment)
}

func (f flagger) remove(ctx context.Context, b *bench) error {
	if err := b.do(ctx, "helm", "uninstall", "flagger", "--namespace", f.seat().namespace, "--ignore-not-found", "--wait"); err != nil {
		return err
	}
	if err := b.do(ctx, "kubectl", "delete", "--ignore-not-found", "customresourcedefinition",
		"canaries.flagger.app", "metrictemplates.flagger.app", "alertproviders.flagger.app"); err != nil {
		return err
	}
	return b.removeNamespace(ctx, f.seat().namespace)
}

func (flagger) shape() string { return "flagger.yaml" }

func (flagger) object() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "flagger.app", Version: "v1beta1", Kind: "Canary"}
}

func (flagger) workload() schema.GroupVersionKind { return deployments }

func (flagger) settled(canary *unstructured.Unstructured) bool {
	return text(canary, "status", "phase") == "Initialized"
}

func (flagger) progress(canary *unstructured.Unstructured) progress { return flaggerProgress(canary) }
