package signals

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// page is what a proxy's statistics say.
type page struct {
	series map[seriesKey]sample
	// uptime is for how long the process has been running, in seconds, as of its last flush of
	// statistics (each 5 s by default); -1: the page does not say.
	uptime float64
	// calls is envoy_cluster_upstream_rq_total by cluster: it says that a cluster is used.
	calls map[string]float64
	// latencies are those of clusters, by name.
	latencies map[string]Histogram
	// oldest and newest are the timestamps on the samples. Envoy gives none; they are zero then.
	oldest, newest time.Time
}

// seriesKey names a counter of a proxy.
type seriesKey struct {
	// metric is the name of the counter.
	metric string
	// cluster is the name of the cluster of Envoy that it counts for.
	cluster string
	// address is that of the endpoint that it counts for; empty: for the whole cluster.
	address string
	// labels are the other labels.
	labels string
}

type sample struct {
	value  float64
	failed bool
}

// Labels and suffixes of Envoy's statistics. A prefix would be less certain than a suffix: methods leak
// into the names of counters, as in envoy_cluster_grpc_SayHello_0 for helloworld.Greeter/SayHello.
const (
	labelCluster  = "envoy_cluster_name"
	labelEndpoint = "envoy_endpoint_address"

	suffixSuccess = "_endpoint_rq_success"
	suffixError   = "_endpoint_rq_error"
	suffixTotal   = "_cluster_upstream_rq_total"
	suffixUptime  = "_server_uptime"
	infixGRPC     = "_cluster_grpc_"
)

// mostCounters is how many counters of interest a page may hold. The names of methods are chosen by
// clients, and each that a client made up has its own counters.
const mostCounters = 50_000

// parsePage reads Envoy's statistics in Prometheus's text format.
func parsePage(text []byte, codes Codes) (*page, error) {
	families, err := parseText(text)
	if err != nil {
		return nil, err
	}
	out := &page{series: map[seriesKey]sample{}, uptime: -1, calls: map[string]float64{}, latencies: map[string]Histogram{}}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			if err := out.add(name, metric, codes); err != nil {
				return nil, err
			}
		}
	}
	if len(out.series) > mostCounters {
		return nil, fmt.Errorf("%d counters, more than %d", len(out.series), mostCounters)
	}
	return out, nil
}

// parseText turns a panic of the parser into an error: prometheus/common v0.70.1 panics at a sample without a
// name after a TYPE line, and what a proxy answers must not end the operator.
func parseText(text []byte) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if recover() != nil {
			families, err = nil, errors.New("a line that cannot be read")
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

func (p *page) add(name string, metric *dto.Metric, codes Codes) error {
	value, ok := valueOf(metric)
	if !ok {
		return p.addTime(name, metric)
	}
	key := keyOf(name, metric)
	var counter sample
	switch code, isCode := grpcCode(name); {
	case strings.HasSuffix(name, suffixUptime):
		p.note(metric)
		p.uptime = value
		return checkCounter(name, value)
	case key.cluster == "":
		return nil
	case key.address != "" && strings.HasSuffix(name, suffixSuccess):
		counter = sample{value: value}
	case key.address != "" && strings.HasSuffix(name, suffixError):
		counter = sample{value: value, failed: true}
	case key.address == "" && strings.HasSuffix(name, suffixTotal):
		p.calls[key.cluster] = value
		return checkCounter(name, value)
	case key.address == "" && isCode:
		counter = sample{value: value, failed: codes.failed(code)}
	default:
		return nil
	}
	if err := checkCounter(name, value); err != nil {
		return err
	}
	if _, twice := p.series[key]; twice {
		return fmt.Errorf("two values of %s for %s %s", name, key.cluster, key.address)
	}
	p.note(metric)
	p.series[key] = counter
	return nil
}

// checkCounter refuses what no counter can be. Above 2^53 a float64 no longer counts by one.
func checkCounter(name string, value float64) error {
	if math.IsNaN(value) || value < 0 || value > 1<<53 {
		return fmt.Errorf("%s is %v, which no counter can be", name, value)
	}
	return nil
}

func (p *page) note(metric *dto.Metric) {
	if metric.TimestampMs == nil {
		return
	}
	when := time.UnixMilli(metric.GetTimestampMs())
	if p.oldest.IsZero() || when.Before(p.oldest) {
		p.oldest = when
	}
	if when.After(p.newest) {
		p.newest = when
	}
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

func keyOf(name string, metric *dto.Metric) seriesKey {
	key := seriesKey{metric: name}
	var others []string
	for _, label := range metric.GetLabel() {
		switch label.GetName() {
		case labelCluster:
			key.cluster = label.GetValue()
		case labelEndpoint:
			key.address = label.GetValue()
		default:
			others = append(others, strconv.Quote(label.GetName())+"="+strconv.Quote(label.GetValue()))
		}
	}
	slices.Sort(others)
	key.labels = strings.Join(others, ",")
	return key
}

// grpcCode says which status code a counter of Envoy's gRPC statistics counts: the number at the
// end of its name.
func grpcCode(name string) (int, bool) {
	if !strings.Contains(name, infixGRPC) {
		return 0, false
	}
	digits := name[strings.LastIndexByte(name, '_')+1:]
	code, err := strconv.Atoi(digits)
	if err != nil || code < 0 || code > 16 || strconv.Itoa(code) != digits {
		return 0, false
	}
	return code, true
}

// failedCode says whether a gRPC status code counts as a failure of the backend: those that HTTP
// would answer with 5xx, and ResourceExhausted. The others are the caller's own doing. Envoy's per-endpoint counters
// draw the line by themselves, and count ResourceExhausted as a success.
func failedCode(code int) bool {
	switch code {
	case 2, 4, 8, 12, 13, 14, 15:
		return true
	}
	return false
}
