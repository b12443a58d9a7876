package main

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// headgate is Headgate, installed by its chart.
type headgate struct{ chart string }

func (headgate) seat() seat {
	return seat{namespace: scene.HeadgateNamespace, deployment: scene.HeadgateDeployment, account: "headgate", lease: "headgate"}
}

func (h headgate) install(ctx context.Context, b *bench, space string) error {
	// The proxies, whose statistics it reads, are in Envoy Gateway's namespace.
	return b.do(ctx, "helm", "upgrade", "--install", "headgate", h.chart, "--namespace", h.seat().namespace, "--create-namespace",
		"--set", "image.repository=ghcr.io/headgate/headgate,image.tag=local", "--set", "watchNamespaces={"+space+","+scene.EnvoyGatewayNamespace+"}",
		"--set", "prometheus.servers[0].name="+prometheusServer+",prometheus.servers[0].url="+prometheusAddress(space),
		"--wait", "--timeout", "3m")
}

func (h headgate) remove(ctx context.Context, b *bench) error {
	if err := b.do(ctx, "helm", "uninstall", "headgate", "--namespace", h.seat().namespace, "--ignore-not-found", "--wait"); err != nil {
		return err
	}
	return b.removeNamespace(ctx, h.seat().namespace)
}

func (headgate) shape() string { return "headgate.yaml" }

func (headgate) object() schema.GroupVersionKind {
	return v1alpha1.GroupVersion.WithKind("ExposedService")
}

func (headgate) workload() schema.GroupVersionKind { return deployments }

func (headgate) settled(exs *unstructured.Unstructured) bool {
	return isTrue(exs, v1alpha1.ConditionReady) && text(exs, "status", "rollout", "stable") != ""
}

func (headgate) progress(exs *unstructured.Unstructured) progress { return headgateProgress(exs) }

// isTrue says that a condition is, for the newest generation.
func isTrue(object *unstructured.Unstructured, condition string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions") //nolint:errcheck // what is not there is not true
	for _, one := range conditions {
		fields, _ := one.(map[string]any)
		if fields["type"] == condition {
			return fields["status"] == string(metav1.ConditionTrue) && fields["observedGeneration"] == object.GetGeneration()
		}
	}
	return false
}
