package scene

import (
	"context"
	"errors"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A version of an application is a ReplicaSet of its Deployment. Its pods are told from those of others by a hash, which is a label of
// theirs, and a part of their names.

// HashOf is the hash in the name of a pod of a Deployment, `<deployment>-<hash>-<5 characters>`; empty: the name is another one.
func HashOf(pod, deployment string) string {
	rest, ofIt := strings.CutPrefix(pod, deployment+"-")
	hash, random, found := strings.Cut(rest, "-")
	if !ofIt || !found || len(random) != 5 || strings.Contains(random, "-") {
		return ""
	}
	return hash
}

// ErrNoPods says that a version has none.
var ErrNoPods = errors.New("the version has no pods")

// VersionPods are the pods of one version of an application that are not being deleted.
func (c *Cluster) VersionPods(ctx context.Context, namespace, app, hash string) ([]corev1.Pod, error) {
	labels := labelsOf(app)
	labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return c.livePodsBy(ctx, namespace, labels)
}

// OrderVersion is Order for the running pods of one version. Without any it fails with ErrNoPods.
func (c *Cluster) OrderVersion(ctx context.Context, namespace, app, hash, order string, parameters ...string) error {
	pods, err := c.VersionPods(ctx, namespace, app, hash)
	if err != nil {
		return err
	}
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return pod.Status.PodIP == "" })
	if len(pods) == 0 {
		return ErrNoPods
	}
	return atEach(pods, func(pod corev1.Pod) error { return c.OrderPod(ctx, namespace, pod.Name, order, parameters...) })
}
