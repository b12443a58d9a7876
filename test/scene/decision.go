package scene

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// UntilActive waits until a backend serves, by the decision in the status.
func (c *Cluster) UntilActive(ctx context.Context, exs *v1alpha1.ExposedService, backend string) error {
	return Until(ctx, backend+" to serve", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		if exs.Status.Active != backend {
			return fmt.Errorf("%w: %s serves; %s", errNotYet, exs.Status.Active, strings.Join(History(exs), "; "))
		}
		return nil
	})
}

// UntilDecided waits until a decision with the reason has been taken after a time.
func (c *Cluster) UntilDecided(ctx context.Context, exs *v1alpha1.ExposedService, reason v1alpha1.DecisionReason, after time.Time) (v1alpha1.Decision, error) {
	var found v1alpha1.Decision
	err := Until(ctx, fmt.Sprintf("decision %s of %s", reason, exs.Name), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		for _, decision := range exs.Status.History {
			if decision.Reason == reason && decision.Time.After(after) {
				found = decision
				return nil
			}
		}
		return fmt.Errorf("%w: %s", errNotYet, strings.Join(History(exs), "; "))
	})
	return found, err
}

// Decided counts the decisions with a reason.
func Decided(exs *v1alpha1.ExposedService, reason v1alpha1.DecisionReason) int {
	count := 0
	for _, decision := range exs.Status.History {
		if decision.Reason == reason {
			count++
		}
	}
	return count
}

// History is the history of decisions, a line each.
func History(exs *v1alpha1.ExposedService) []string {
	lines := make([]string, 0, len(exs.Status.History))
	for _, d := range exs.Status.History {
		lines = append(lines, fmt.Sprintf("%s %s %s->%s: %s", d.Time.Format("15:04:05.000"), d.Reason, d.From, d.To, d.Message))
	}
	return lines
}

// KillLeader deletes the pod of Headgate that leads, without any grace.
func (c *Cluster) KillLeader(ctx context.Context) error {
	var lease coordinationv1.Lease
	if err := c.Get(ctx, client.ObjectKey{Namespace: HeadgateNamespace, Name: "headgate"}, &lease); err != nil {
		return err
	}
	// The holder is the pod's name, "_", and something unique.
	pod, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	return c.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: HeadgateNamespace, Name: pod}},
		client.GracePeriodSeconds(0))
}

// Where the local cluster has Envoy Gateway.
const (
	EnvoyGatewayNamespace  = "envoy-gateway-system"
	EnvoyGatewayDeployment = "envoy-gateway"
)

// RestartComponent kills a component of the local cluster, such as kube-apiserver, which then
// starts again. CLUSTER_COMMAND names the command that does it.
func RestartComponent(ctx context.Context, component string) error {
	command := os.Getenv("CLUSTER_COMMAND")
	if command == "" {
		return fmt.Errorf("cannot restart %s: CLUSTER_COMMAND does not name the local cluster's command", component)
	}
	if out, err := exec.CommandContext(ctx, command, "restart", component).CombinedOutput(); err != nil {
		return fmt.Errorf("restart %s: %w: %s", component, err, out)
	}
	return nil
}
