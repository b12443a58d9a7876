package scene

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Order sends an order, such as "freeze" with parameters "duration", "3s", to the control endpoint of
// every pod of an application, at once. The API server passes it on, so that it works from anywhere.
func (c *Cluster) Order(ctx context.Context, namespace, app, order string, parameters ...string) error {
	return c.atEachPod(ctx, namespace, app, func(pod corev1.Pod) error {
		return c.OrderPod(ctx, namespace, pod.Name, order, parameters...)
	})
}

// atEachPod calls f for all pods of an application at once.
func (c *Cluster) atEachPod(ctx context.Context, namespace, app string, f func(corev1.Pod) error) error {
	pods, err := c.livePods(ctx, namespace, app)
	if err != nil {
		return err
	}
	return atEach(pods, f)
}

// atEach calls f for all pods at once.
func atEach(pods []corev1.Pod, f func(corev1.Pod) error) error {
	var group errgroup.Group
	for _, pod := range pods {
		group.Go(func() error { return f(pod) })
	}
	return group.Wait()
}

// OrderPod is Order for one pod.
func (c *Cluster) OrderPod(ctx context.Context, namespace, pod, order string, parameters ...string) error {
	request := c.core.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").
		Name(fmt.Sprintf("%s:%d", pod, ControlPort)).SubResource("proxy").Suffix("control", order)
	for i := 0; i+1 < len(parameters); i += 2 {
		request = request.Param(parameters[i], parameters[i+1])
	}
	if err := request.Do(ctx).Error(); err != nil {
		return fmt.Errorf("order %s to pod %s: %w", order, pod, err)
	}
	return nil
}

// Crash ends the process in every pod of an application at once, with an error code. Whether the
// pods' last answers still arrive is left to chance, so they are not asked for.
func (c *Cluster) Crash(ctx context.Context, namespace, app string) error {
	return c.orderWhoRuns(ctx, namespace, app, "crash")
}

// Freeze stops the process in every pod of an application for a time.
func (c *Cluster) Freeze(ctx context.Context, namespace, app string, duration time.Duration) error {
	return c.orderWhoRuns(ctx, namespace, app, "freeze", "duration", duration.String())
}

// orderWhoRuns is Order for those pods that have a process. A pod that was just made has none yet, nor has one that has just died or
// that is deleted in this moment.
func (c *Cluster) orderWhoRuns(ctx context.Context, namespace, app, order string, parameters ...string) error {
	return c.atEachPod(ctx, namespace, app, func(pod corev1.Pod) error {
		if pod.Status.PodIP == "" {
			return nil
		}
		err := c.OrderPod(ctx, namespace, pod.Name, order, parameters...)
		if apierrors.IsNotFound(err) || (err != nil && strings.Contains(err.Error(), "error trying to reach service")) {
			return nil
		}
		return err
	})
}

// Kill deletes every pod of an application without any grace, as the loss of its nodes would.
func (c *Cluster) Kill(ctx context.Context, namespace, app string) error {
	return c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.MatchingLabels{"app": app},
		&client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}})
}

// KillPod deletes one pod without any grace.
func (c *Cluster) KillPod(ctx context.Context, namespace, pod string) error {
	return c.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod}}, client.GracePeriodSeconds(0))
}

// Restart replaces every pod of an application, a few at a time, as `kubectl rollout restart` does,
// and waits until that is done.
func (c *Cluster) Restart(ctx context.Context, namespace, app string) error {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}}
	stamp := time.Now().Format(time.RFC3339Nano)
	if err := c.patch(ctx, deployment,
		`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"`+stamp+`"}}}}}`); err != nil {
		return err
	}
	return c.UntilReady(ctx, namespace, app)
}

// Where the chart puts Headgate.
const (
	HeadgateNamespace  = "headgate-system"
	HeadgateDeployment = "headgate"
)

// KillHeadgate deletes every pod of Headgate without any grace, and waits for new ones.
func (c *Cluster) KillHeadgate(ctx context.Context) error {
	if err := c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(HeadgateNamespace),
		client.MatchingLabels{"app.kubernetes.io/name": "headgate"},
		&client.DeleteAllOfOptions{DeleteOptions: client.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}}); err != nil {
		return err
	}
	return c.UntilReady(ctx, HeadgateNamespace, HeadgateDeployment)
}
