package scene

import (
	"context"
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// ErrNoMetrics says that the cluster has no API for what pods use of processors and memory.
var ErrNoMetrics = errors.New("the API metrics.k8s.io is not available (on a local cluster `cluster metrics-server` installs it)")

const metricsPath = "/apis/metrics.k8s.io/v1beta1"

// HasMetrics fails with ErrNoMetrics unless autoscalers can go by what pods use.
func (c *Cluster) HasMetrics(ctx context.Context) error {
	if err := c.core.Discovery().RESTClient().Get().AbsPath(metricsPath, "nodes").Do(ctx).Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoMetrics, err)
	}
	return nil
}

// Autoscaler gives an application so many replicas that each uses a percentage of what it asks for of the processors. It waits little
// before it changes its mind.
func Autoscaler(namespace, app string, least, most, percent int32) *autoscalingv2.HorizontalPodAutoscaler {
	// Every few seconds at most twice as many, or as few as it wants.
	policies := []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 5}}
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: app},
			MinReplicas:    &least, MaxReplicas: most,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
			}}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp:   &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To(int32(0)), Policies: policies},
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To(int32(15)), Policies: policies},
			},
		},
	}
}
