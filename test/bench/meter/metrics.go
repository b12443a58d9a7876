package meter

import (
	"bytes"
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/utils/ptr"
)

// metrics reads a page of metrics through the API server.
func (m *Meter) metrics(ctx context.Context, path string) (map[string]*dto.MetricFamily, error) {
	body, err := m.fetch(ctx, path)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return families, nil
}

func labelOf(metric *dto.Metric, name string) string {
	for _, label := range metric.GetLabel() {
		if label.GetName() == name {
			return ptr.Deref(label.Value, "")
		}
	}
	return ""
}

// timeOf is the timestamp that a sample carries.
func timeOf(metric *dto.Metric) time.Time { return time.UnixMilli(metric.GetTimestampMs()) }
