package e2e

import (
	"context"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// mergedClass makes a GatewayClass of a test's own whose Gateways share their proxies. Its EnvoyProxy takes the place of the one that Envoy
// Gateway's own configuration may have, so that it begins with what that says, such as an image.
func mergedClass(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	const namespace = "envoy-gateway-system"
	var stored corev1.ConfigMap
	must(t, cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "envoy-gateway-config"}, &stored))
	var config egv1a1.EnvoyGateway
	must(t, yaml.Unmarshal([]byte(stored.Data["envoy-gateway.yaml"]), &config))
	proxy := &egv1a1.EnvoyProxy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if config.EnvoyProxy != nil {
		proxy.Spec = *config.EnvoyProxy
	}
	proxy.Spec.MergeGateways = ptr.To(true)
	// As the condition SignalsAvailable says while it is off.
	proxy.Spec.Telemetry = &egv1a1.ProxyTelemetry{Metrics: &egv1a1.ProxyMetrics{EnablePerEndpointStats: ptr.To(true)}}
	class := &gwapiv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: gwapiv1.GatewayClassSpec{
			ControllerName: gateway.EnvoyGatewayController,
			ParametersRef: &gwapiv1.ParametersReference{
				Group: egv1a1.GroupName, Kind: egv1a1.KindEnvoyProxy, Name: proxy.Name, Namespace: ptr.To(gwapiv1.Namespace(proxy.Namespace)),
			},
		},
	}
	must(t, cluster.Put(ctx, proxy, class))
	t.Cleanup(func() {
		must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), class)))
		must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), proxy)))
	})
}

// TestFailoverOnMergedGateways: where all Gateways of a class share their proxies, and another one is merged with that of the
// ExposedService, priorities hold, nothing is lost when the primaries die, and errors are counted.
func TestFailoverOnMergedGateways(t *testing.T) {
	t.Parallel()
	ctx, class := onCluster(t), "e2e-merged"
	mergedClass(ctx, t, class)
	trial := tryAt(t, calm, "merged", v1alpha1.StrategyPriorities, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Gateway.ClassName = &class
		exs.Spec.Failover.Errors = &v1alpha1.ErrorBound{MaxPercent: "5"}
		another := &gwapiv1.Gateway{
			ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: "another"},
			Spec: gwapiv1.GatewaySpec{GatewayClassName: gwapiv1.ObjectName(class), Listeners: []gwapiv1.Listener{
				{Name: "http", Port: 80, Protocol: gwapiv1.HTTPProtocolType, Hostname: ptr.To(gwapiv1.Hostname("another.example.com"))},
			}},
		}
		must(t, cluster.Put(ctx, another))
	})
	trial.signals(metav1.ConditionTrue, v1alpha1.ReasonSourceRead)
	killed := trial.mark("primaries deleted")
	must(t, cluster.Kill(trial.ctx, trial.space, primary))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, killed)
	trial.answeredAlone(backup)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	trial.handedBack(killed)
	failing := trial.mark("30 % INTERNAL")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.3", "code", "INTERNAL"))
	left := trial.decided(v1alpha1.DecisionSwitchedToBackup, failing)
	t.Logf("left after %.1f s: %s", left.Time.Sub(failing).Seconds(), left.Message)
	trial.answeredAlone(backup)
	if report := trial.report(); report.Failed > 0 && report.FirstFailure.Due.Before(failing) {
		t.Errorf("a call failed before any was ordered to: %+v", report.FirstFailure)
	}
}
