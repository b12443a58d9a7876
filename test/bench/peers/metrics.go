package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// prometheusServer is how Headgate calls it: shapes/headgate.yaml has the same name.
const prometheusServer = "bench"

// prometheusAddress is where the server of a namespace is asked.
func prometheusAddress(space string) string {
	return fmt.Sprintf("http://%s.%s:9090", scene.PrometheusApp, space)
}

// deployPrometheus starts a server that knows nothing yet and scrapes the pods of all services in a namespace every
// second.
func (b *bench) deployPrometheus(ctx context.Context, space string) (*scene.Prometheus, error) {
	old := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: scene.PrometheusApp}}
	if err := b.Delete(ctx, old, client.PropagationPolicy(metav1.DeletePropagationForeground)); client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err := until(ctx, cleanUpTime, "the end of the last Prometheus", func(ctx context.Context) error {
		err := b.Get(ctx, client.ObjectKeyFromObject(old), &appsv1.Deployment{})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err == nil {
			return errNotYet
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return b.DeployPrometheus(ctx, scene.PrometheusConfig{Namespace: space, Discovery: b.discovery.url(space), WithoutHeadgate: true})
}
