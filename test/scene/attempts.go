package scene

import (
	"bytes"
	"context"
	"fmt"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// Attempts is how often the pods of an application have been called since they started, as they count it themselves: each call of a
// caller as often as it was tried. The API server passes the question on, so that it works from anywhere.
func (c *Cluster) Attempts(ctx context.Context, namespace, app string) (int, error) {
	pods, err := c.Pods(ctx, namespace, app)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, pod := range pods {
		page, err := c.core.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
			Name(fmt.Sprintf("%s:%d", pod, ControlPort)).SubResource("proxy").Suffix("metrics").DoRaw(ctx)
		if err != nil {
			return 0, fmt.Errorf("metrics of pod %s: %w", pod, err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
		if err != nil {
			return 0, fmt.Errorf("metrics of pod %s: %w", pod, err)
		}
		for _, metric := range families["grpc_server_started_total"].GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "grpc_service" && label.GetValue() == greeter.Greeter_ServiceDesc.ServiceName {
					total += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return int(total), nil
}
