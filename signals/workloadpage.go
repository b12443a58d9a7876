package signals

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Conventions of metrics of gRPC servers: those of the interceptors that most servers have (go-grpc-middleware, and its
// namesakes for Java, Python and others), and gRPC's own by OpenTelemetry (gRFC A66).
var conventions = []metricNames{
	{
		calls: "grpc_server_handled_total", codeLabel: "grpc_code", latencies: "grpc_server_handling_seconds",
		started: "grpc_server_started_total",
	},
	{
		calls: "grpc_server_call_duration_seconds", codeLabel: "grpc_status", latencies: "grpc_server_call_duration_seconds",
		started: "grpc_server_call_started_total",
	},
}

const (
	labelService = "grpc_service"
	labelMethod  = "grpc_method"
	labelType    = "grpc_type"
	typeUnary    = "unary"

	metricStartTime = "process_start_time_seconds"
)

// metricNames say how metrics are called. An empty one is that of the conventions. Started counts calls that have begun, and is
// known of calls that go by a convention alone.
type metricNames struct{ calls, codeLabel, latencies, started string }

// on are the names that a page goes by: of the conventions the first whose calls it has, or the first one.
func (n metricNames) on(families map[string]*dto.MetricFamily) metricNames {
	convention := conventions[0]
	for _, known := range conventions {
		if n.calls == known.calls || n.calls == "" && families[known.calls] != nil {
			convention = known
			break
		}
	}
	out := metricNames{
		calls: cmp.Or(n.calls, convention.calls), codeLabel: cmp.Or(n.codeLabel, convention.codeLabel),
		latencies: cmp.Or(n.latencies, convention.latencies),
	}
	if out.calls == convention.calls {
		out.started = convention.started
	}
	return out
}

// workloadPage is what a pod says of the calls that it has answered since its process started.
type workloadPage struct {
	// started is when the process did, in seconds since 1970; 0: the page does not say.
	started float64
	// calls are counters by their labels, and latencies histograms.
	calls     map[string]sample
	latencies map[string]Histogram
	// begun are the calls that have begun, by their labels as well.
	begun map[string]float64
	// names are those that the page goes by. hasCalls, hasLatencies and hasBegun: it has metrics of those names.
	names                            metricNames
	hasCalls, hasLatencies, hasBegun bool
}

// parseWorkload reads a page in Prometheus's text format. Errors quote nothing of the page, which may be somebody else's.
func parseWorkload(text []byte, names metricNames, codes Codes) (*workloadPage, error) {
	families, err := parseText(text)
	if err != nil {
		return nil, errors.New("the answer is not metrics in Prometheus's text format")
	}
	names = names.on(families)
	out := &workloadPage{names: names, calls: map[string]sample{}, latencies: map[string]Histogram{}, begun: map[string]float64{}}
	if metrics := families[metricStartTime].GetMetric(); len(metrics) == 1 {
		if started, ok := valueOf(metrics[0]); ok && started > 0 {
			out.started = started
		}
	}
	out.hasCalls, out.hasLatencies = families[names.calls] != nil, families[names.latencies] != nil
	out.hasBegun = families[names.started] != nil
	for _, metric := range families[names.calls].GetMetric() {
		if err := out.addCalls(metric, codes); err != nil {
			return nil, fmt.Errorf("%s: %w", names.calls, err)
		}
	}
	for _, metric := range families[names.latencies].GetMetric() {
		if err := out.addLatencies(metric); err != nil {
			return nil, fmt.Errorf("%s: %w", names.latencies, err)
		}
	}
	for _, metric := range families[names.started].GetMetric() {
		if err := out.addBegun(metric); err != nil {
			return nil, fmt.Errorf("%s: %w", names.started, err)
		}
	}
	if series := len(out.calls) + len(out.latencies) + len(out.begun); series > mostCounters {
		return nil, fmt.Errorf("%d series, more than %d", series, mostCounters)
	}
	return out, nil
}

func (p *workloadPage) addCalls(metric *dto.Metric, codes Codes) error {
	text, ok := labelOf(metric, p.names.codeLabel)
	if !ok {
		return fmt.Errorf("it has no label %s: set codeLabel", p.names.codeLabel)
	}
	code, ok := codeOf(text)
	if !ok {
		return fmt.Errorf("a label %s is no gRPC status code", p.names.codeLabel)
	}
	value, ok := valueOf(metric)
	if histogram := metric.GetHistogram(); histogram != nil {
		value, ok = float64(histogram.GetSampleCount()), true
	}
	if !ok {
		return errors.New("it is neither a counter nor a histogram")
	}
	if err := checkCounter("a value", value); err != nil {
		return err
	}
	if isForGRPC(metric) {
		return nil
	}
	p.calls[labelsOf(metric)] = sample{value: value, failed: codes.failed(code), cancelled: code == codeCanceled && !codes[code]}
	return nil
}

func (p *workloadPage) addBegun(metric *dto.Metric) error {
	value, ok := valueOf(metric)
	if !ok {
		return errors.New("it is no counter")
	}
	if err := checkCounter("a value", value); err != nil {
		return err
	}
	if !isForGRPC(metric) {
		p.begun[labelsOf(metric)] = value
	}
	return nil
}

// inFlight are the calls under way: those that have begun and not ended. The page is no moment, so that there may seem to be fewer than none.
func (p *workloadPage) inFlight() float64 {
	sum := 0.0
	for _, begun := range p.begun {
		sum += begun
	}
	for _, ended := range p.calls {
		sum -= ended.value
	}
	return max(0, sum)
}

func (p *workloadPage) addLatencies(metric *dto.Metric) error {
	histogram := metric.GetHistogram()
	if histogram == nil {
		return errors.New("it is no histogram: turn its buckets on, or set latencies")
	}
	if kind, ok := labelOf(metric, labelType); ok && kind != typeUnary || isForGRPC(metric) {
		return nil
	}
	var buckets []cumulative
	for _, b := range histogram.GetBucket() {
		buckets = append(buckets, cumulative{b.GetUpperBound(), float64(b.GetCumulativeCount())})
	}
	found, err := classic(buckets)
	if err != nil {
		return err
	}
	p.latencies[labelsOf(metric)] = found
	return nil
}

// isForGRPC: the call is one of gRPC's own services, which say nothing of the workload. Health checks would outnumber its calls.
func isForGRPC(metric *dto.Metric) bool {
	of, ok := labelOf(metric, labelService)
	if !ok {
		of, _ = labelOf(metric, labelMethod)
	}
	return strings.HasPrefix(of, "grpc.health.") || strings.HasPrefix(of, "grpc.reflection.")
}

func labelOf(metric *dto.Metric, name string) (string, bool) {
	for _, label := range metric.GetLabel() {
		if label.GetName() == name {
			return label.GetValue(), true
		}
	}
	return "", false
}

// labelsOf names a series within its family.
func labelsOf(metric *dto.Metric) string {
	words := make([]string, 0, len(metric.GetLabel()))
	for _, label := range metric.GetLabel() {
		words = append(words, strconv.Quote(label.GetName())+"="+strconv.Quote(label.GetValue()))
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// sample is the value of a counter, and whether it counts failed calls, or such that their callers gave up.
type sample struct {
	value             float64
	failed, cancelled bool
}

// parseText turns a panic of the parser into an error: prometheus/common v0.70.1 panics at a sample without a
// name after a TYPE line, and what a pod answers must not end the operator.
func parseText(text []byte) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if recover() != nil {
			families, err = nil, errors.New("a line that cannot be read")
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

func valueOf(metric *dto.Metric) (float64, bool) {
	switch {
	case metric.GetCounter() != nil:
		return metric.GetCounter().GetValue(), true
	case metric.GetGauge() != nil:
		return metric.GetGauge().GetValue(), true
	case metric.GetUntyped() != nil:
		return metric.GetUntyped().GetValue(), true
	}
	return 0, false
}
