package meter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// Usage is what one pod had used by the time of a sample.
type Usage struct {
	At time.Time
	// CPU is in seconds since the start of the pod, and Memory, the working set, in bytes.
	CPU, Memory float64
}

// Usages are those of the operator's pods, by their names, from the kubelets' own metrics.
func (m *Meter) Usages(ctx context.Context) (map[string]Usage, error) {
	var pods corev1.PodList
	if err := m.cluster.List(ctx, &pods, client.InNamespace(m.Namespace)); err != nil {
		return nil, err
	}
	nodes := map[string]bool{}
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName != "" {
			nodes[pods.Items[i].Spec.NodeName] = true
		}
	}
	out := map[string]Usage{}
	for node := range nodes {
		families, err := m.metrics(ctx, "/api/v1/nodes/"+node+"/proxy/metrics/resource")
		if err != nil {
			return nil, err
		}
		for _, metric := range families["pod_cpu_usage_seconds_total"].GetMetric() {
			if labelOf(metric, "namespace") == m.Namespace {
				out[labelOf(metric, "pod")] = Usage{At: timeOf(metric), CPU: metric.GetCounter().GetValue()}
			}
		}
		for _, metric := range families["pod_memory_working_set_bytes"].GetMetric() {
			if u, ours := out[labelOf(metric, "pod")]; ours && labelOf(metric, "namespace") == m.Namespace {
				u.Memory = metric.GetGauge().GetValue()
				out[labelOf(metric, "pod")] = u
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no kubelet has a sample of a pod in %s", errNotYet, m.Namespace)
	}
	return out, nil
}

// UsagesFrom waits until every pod has a sample of a time or later: the kubelet takes one about every 15 s.
func (m *Meter) UsagesFrom(ctx context.Context, earliest time.Time, patience time.Duration) (out map[string]Usage, err error) {
	err = scene.UntilWithin(ctx, patience, lookInterval, "new samples of CPU", func(ctx context.Context) error {
		var err error
		if out, err = m.Usages(ctx); err != nil {
			return err
		}
		for pod, u := range out {
			if u.At.Before(earliest) {
				return fmt.Errorf("%w: the sample of %s is of %s", errNotYet, pod, u.At.Format(time.TimeOnly))
			}
		}
		return nil
	})
	return out, err
}

// Latest is the time of the last sample.
func Latest(usages map[string]Usage) time.Time {
	var out time.Time
	for _, u := range usages {
		if u.At.After(out) {
			out = u.At
		}
	}
	return out
}

// PodCost is what one pod used between two samples.
type PodCost struct {
	Pod string
	// Percent is of one core, over the time between the samples, and Memory the working set in bytes.
	Percent, Memory float64
	Over            time.Duration
}

var errReplaced = errors.New("the pods were replaced or restarted in the meantime")

// PodCosts is what each pod used between two results of Usages, in the order of their names.
func PodCosts(began, ended map[string]Usage) ([]PodCost, error) {
	var out []PodCost
	for _, pod := range slices.Sorted(maps.Keys(ended)) {
		first, last := began[pod], ended[pod]
		over := last.At.Sub(first.At)
		if first.At.IsZero() || over <= 0 || last.CPU < first.CPU {
			return nil, fmt.Errorf("%w: %s", errReplaced, pod)
		}
		out = append(out, PodCost{Pod: pod, Over: over, Memory: last.Memory, Percent: 100 * (last.CPU - first.CPU) / over.Seconds()})
	}
	return out, nil
}
