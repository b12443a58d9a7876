package scene

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// Kubectl runs the real kubectl on a namespace of the cluster, and returns what it prints.
func Kubectl(ctx context.Context, namespace string, arguments ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace", namespace}, arguments...)...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w", strings.Join(arguments, " "), err)
	}
	return string(out), nil
}

// Autoscale gives an application so many replicas in the way in which an autoscaler does, by the subresource scale.
func (c *Cluster) Autoscale(ctx context.Context, namespace, app string, replicas int32) error {
	deployments := c.core.AppsV1().Deployments(namespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		scale, err := deployments.GetScale(ctx, app, metav1.GetOptions{})
		if err != nil {
			return err
		}
		scale.Spec.Replicas = replicas
		_, err = deployments.UpdateScale(ctx, app, scale, metav1.UpdateOptions{})
		return err
	})
}

// Opinion is what a GitOps tool thinks of an object.
type Opinion struct{ Status, Message string }

// Opinions are what Argo CD and Flux, by kstatus, think of a Deployment as the API server has it now. The command gitops-health, which is
// test/gitops, has to be in PATH.
func Opinions(ctx context.Context, namespace, deployment string) (argoCD, kstatus Opinion, err error) {
	object, err := Kubectl(ctx, namespace, "get", "deployment", deployment, "--output", "json")
	if err != nil {
		return argoCD, kstatus, err
	}
	command := exec.CommandContext(ctx, "gitops-health")
	command.Stdin = strings.NewReader(object)
	out, err := command.Output()
	if err != nil {
		return argoCD, kstatus, fmt.Errorf("gitops-health: %w", err)
	}
	var answer struct{ ArgoCD, KStatus Opinion }
	if err := json.Unmarshal(out, &answer); err != nil {
		return argoCD, kstatus, fmt.Errorf("the answer of gitops-health: %w", err)
	}
	return answer.ArgoCD, answer.KStatus, nil
}
