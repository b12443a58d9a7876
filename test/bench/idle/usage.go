package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// usage is what the container of one pod had used by the time of a sample.
type usage struct {
	at time.Time
	// cpu is in seconds since the start of the container, and memory, the working set, in bytes.
	cpu, memory float64
}

// usages are those of Headgate's pods, by their names, from the kubelets' own metrics.
func (b *bench) usages(ctx context.Context) (map[string]usage, error) {
	var pods corev1.PodList
	if err := b.List(ctx, &pods, client.InNamespace(scene.HeadgateNamespace), client.MatchingLabels{"app.kubernetes.io/name": "headgate"}); err != nil {
		return nil, err
	}
	nodes := map[string]bool{}
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName != "" {
			nodes[pods.Items[i].Spec.NodeName] = true
		}
	}
	out := map[string]usage{}
	for node := range nodes {
		families, err := b.metrics(ctx, "/api/v1/nodes/"+node+"/proxy/metrics/resource")
		if err != nil {
			return nil, err
		}
		for _, metric := range families["container_cpu_usage_seconds_total"].GetMetric() {
			if labelOf(metric, "namespace") == scene.HeadgateNamespace && labelOf(metric, "container") == "headgate" {
				out[labelOf(metric, "pod")] = usage{at: timeOf(metric), cpu: metric.GetCounter().GetValue()}
			}
		}
		for _, metric := range families["container_memory_working_set_bytes"].GetMetric() {
			if u, ours := out[labelOf(metric, "pod")]; ours && labelOf(metric, "container") == "headgate" {
				u.memory = metric.GetGauge().GetValue()
				out[labelOf(metric, "pod")] = u
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no kubelet has a sample of a pod of Headgate", errNotYet)
	}
	return out, nil
}

// usagesFrom waits until every pod has a sample of a time or later.
func (b *bench) usagesFrom(ctx context.Context, earliest time.Time, patience time.Duration) (out map[string]usage, err error) {
	err = until(ctx, patience, "new samples of CPU", func(ctx context.Context) error {
		var err error
		if out, err = b.usages(ctx); err != nil {
			return err
		}
		for pod, u := range out {
			if u.at.Before(earliest) {
				return fmt.Errorf("%w: the sample of %s is of %s", errNotYet, pod, u.at.Format(time.TimeOnly))
			}
		}
		return nil
	})
	return out, err
}

// leader is the pod that leads.
func (b *bench) leader(ctx context.Context) (string, error) {
	var lease coordinationv1.Lease
	if err := b.Get(ctx, client.ObjectKey{Namespace: scene.HeadgateNamespace, Name: "headgate"}, &lease); err != nil {
		return "", err
	}
	pod, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	return pod, nil
}
