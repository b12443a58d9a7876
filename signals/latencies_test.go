package signals

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var inf = math.Inf(1)

const latenciesQuery = `latencies{service="{{.Service}}"}`

func withLatencies(config *PrometheusConfig) { config.Latencies = latenciesQuery }

// latencies sets what the query for latencies returns; calls and errors are as they were.
func (p *promTest) latencies(result string) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.results[strings.ReplaceAll(latenciesQuery, "{{.Service}}", "grpc-primary")] = result
}

// bucketsOf is the result of a query for the buckets of classic histograms: fast calls up to 0.1 s, and the others up to 1 s.
func bucketsOf(when time.Time, labels string, fast, slow int) string {
	var samples []string
	for _, b := range []cumulative{{0.1, float64(fast)}, {1, float64(fast + slow)}, {inf, float64(fast + slow)}} {
		samples = append(samples, fmt.Sprintf(`"le":"%v"%s`, b.upTo, labels), fmt.Sprint(b.count))
	}
	return vector(when, samples...)
}

// nativeOf is a result with native histograms as the API documents them: [[boundary rule, lower, upper, count], …].
func nativeOf(when time.Time, buckets string) string {
	return fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{"pod":"a"},"histogram":[%f,{"count":"0","sum":"0","buckets":[%s]}]}]}`,
		float64(when.UnixMilli())/1000, buckets)
}

// look advances, asks, and gives the fast and slow calls of the histogram.
func (p *promTest) lookAtLatencies() (Counts, string) {
	p.t.Helper()
	p.advance(10 * time.Second)
	p.numbers("100", "0")
	counts := p.look().Backends["primary"]
	var words []string
	for _, bucket := range counts.Latencies {
		if bucket.Count > 0 {
			words = append(words, fmt.Sprintf("%v up to %s", bucket.Count, bucket.UpTo))
		}
	}
	return counts, strings.Join(words, ", ")
}

func (p *promTest) wantLatencies(want string) {
	p.t.Helper()
	if counts, got := p.lookAtLatencies(); got != want || counts.NoLatencies != "" || !counts.Known() {
		p.t.Errorf("latencies %q, want %q (%s%s)", got, want, counts.NoLatencies, counts.Message)
	}
}

func (p *promTest) wantNoLatencies(words string) {
	p.t.Helper()
	counts, got := p.lookAtLatencies()
	if got != "" || !counts.Known() || !strings.Contains(counts.NoLatencies, words) {
		p.t.Errorf("latencies %q, none because %q, want %q; %s", got, counts.NoLatencies, words, counts.Message)
	}
}

func TestPrometheusCountsLatenciesOfClassicHistograms(t *testing.T) {
	p := newPromTest(t, withLatencies)
	p.numbers("100", "0")
	p.latencies(bucketsOf(p.server.now, "", 50, 50))
	p.look()
	p.numbers("110", "0")
	p.latencies(bucketsOf(p.server.now, "", 57, 53))
	p.wantLatencies("7 up to 100ms, 3 up to 1s")
	p.wantLatencies("")
}

func TestPrometheusAddsUpTheHistogramsOfSeveralSeries(t *testing.T) {
	p := newPromTest(t, withLatencies)
	p.numbers("100", "0")
	both := func(a, b int) string {
		return strings.Join([]string{
			strings.TrimSuffix(bucketsOf(p.server.now, `,"pod":"a"`, a, 0), "]}"),
			strings.TrimPrefix(bucketsOf(p.server.now, `,"pod":"b"`, 0, b), `{"resultType":"vector","result":[`),
		}, ",")
	}
	p.latencies(both(10, 10))
	p.look()
	p.latencies(both(13, 14))
	p.wantLatencies("3 up to 100ms, 4 up to 1s")
}

func TestPrometheusCountsLatenciesOfNativeHistograms(t *testing.T) {
	p := newPromTest(t, withLatencies)
	p.numbers("100", "0")
	p.latencies(nativeOf(p.server.now, `[3,"-2.938735877055719e-39","2.938735877055719e-39","1"],[0,"0.0625","0.07433","4"]`))
	p.look()
	p.latencies(nativeOf(p.server.now, `[3,"-2.938735877055719e-39","2.938735877055719e-39","2"],[0,"0.0625","0.07433","6"],[0,"0.5","0.5946","3"]`))
	p.wantLatencies("1 up to 0s, 2 up to 74.33ms, 3 up to 594.6ms")
	// The server lowers the resolution: what was in two buckets is in one.
	p.latencies(nativeOf(p.server.now, `[3,"-2.938735877055719e-39","2.938735877055719e-39","2"],[0,"0.0625","0.125","9"],[0,"0.5","1","3"]`))
	p.wantLatencies("3 up to 125ms")
}

func TestPrometheusCountsNoLatencyTwiceWhereAHistogramFalls(t *testing.T) {
	const scraped = `,"__name__":"latencies_bucket","pod":"a"`
	p := newPromTest(t, withLatencies)
	p.numbers("100", "0")
	p.latencies(bucketsOf(p.server.now, scraped, 50, 50))
	p.look()
	// Another of two servers answers, which is a little behind, and then the first again.
	p.latencies(bucketsOf(p.server.now, scraped, 48, 49))
	p.wantLatencies("")
	p.latencies(bucketsOf(p.server.now, scraped, 51, 52))
	p.wantLatencies("1 up to 100ms, 2 up to 1s")
	// The pod starts again.
	p.latencies(bucketsOf(p.server.now, scraped, 1, 0))
	p.wantLatencies("")
	p.latencies(bucketsOf(p.server.now, scraped, 5, 1))
	p.wantLatencies("4 up to 100ms, 1 up to 1s")
}

func TestASumOfHistogramsThatFallsLeavesLatenciesUnknown(t *testing.T) {
	p := newPromTest(t, withLatencies)
	p.numbers("100", "0")
	p.latencies(bucketsOf(p.server.now, "", 50, 50))
	p.look()
	p.latencies(bucketsOf(p.server.now, "", 20, 20))
	p.wantNoLatencies("a sum fell")
	p.latencies(bucketsOf(p.server.now, "", 21, 22))
	p.wantLatencies("1 up to 100ms, 2 up to 1s")
}

// Calls and errors are counted all the same, and latencies are never of another time than the calls.
func TestPrometheusWithoutLatencies(t *testing.T) {
	for name, c := range map[string]struct {
		result func(now time.Time) string
		words  string
	}{
		"a number":                   {func(now time.Time) string { return vector(now, "", "5") }, "_bucket"},
		"a histogram without +Inf":   {func(now time.Time) string { return vector(now, `"le":"0.1"`, "5") }, "+Inf"},
		"a bound that is no number":  {func(now time.Time) string { return vector(now, `"le":"fast"`, "5") }, `le is "fast"`},
		"a bucket that is no number": {func(now time.Time) string { return vector(now, `"le":"+Inf"`, "NaN") }, "no counter"},
		"nothing":                    {func(now time.Time) string { return vector(now) }, "empty"},
		"a query that is none":       {nil, "refuses the query"},
		"a native bucket without bounds": {
			func(now time.Time) string { return nativeOf(now, `[0,"NaN","1","5"]`) }, "without bounds",
		},
		"both kinds at once": {func(now time.Time) string {
			return strings.Replace(nativeOf(now, `[0,"0.5","1","5"]`), `"result":[`, fmt.Sprintf(`"result":[{"metric":{"le":"+Inf"},"value":[%d,"5"]},`, now.Unix()), 1)
		}, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPromTest(t, withLatencies)
			p.numbers("100", "0")
			p.latencies(bucketsOf(p.server.now, "", 50, 50))
			p.look()
			p.latencies(bucketsOf(p.server.now, "", 51, 50))
			p.wantLatencies("1 up to 100ms")

			if c.result == nil {
				p.server.mu.Lock()
				delete(p.server.results, strings.ReplaceAll(latenciesQuery, "{{.Service}}", "grpc-primary"))
				p.server.mu.Unlock()
			} else {
				p.latencies(c.result(p.server.now.Add(10 * time.Second)))
			}
			p.wantNoLatencies(c.words)
			p.latencies(bucketsOf(p.server.now, "", 90, 50))
			p.wantNoLatencies("from now on")
			p.latencies(bucketsOf(p.server.now, "", 92, 50))
			p.wantLatencies("2 up to 100ms")
		})
	}
}

func TestQueriesOfSides(t *testing.T) {
	p := newPromTest(t, func(config *PrometheusConfig) {
		config.Sides = true
		config.Calls, config.Errors = "calls {{.Side}} {{.Service}} of {{.Workload}}-{{.PodTemplateHash}}", "errors {{.Namespace}} {{.Name}} {{.Side}}"
	})
	p.query.Backends = []Backend{
		{Name: "primary", Side: "stable", Service: "greeter", Workload: "greeter", PodTemplateHash: "5d8f"},
		{Name: "canary", Side: "canary", Service: "own"},
		{Name: "untold", Side: "canary", Service: "own", Workload: "greeter"},
	}
	for expression, result := range map[string]string{"calls stable greeter of greeter-5d8f": "9", "errors shop greeter stable": "0"} {
		p.server.results[expression] = vector(p.server.now, "", result)
	}
	reading := p.look()
	wantUnknown(t, reading, "primary", UnknownFirstLook, "first look")
	wantUnknown(t, reading, "canary", UnknownEmpty, "backend canary has no Deployment to stand for {{.Workload}}")
	wantUnknown(t, reading, "untold", UnknownEmpty, "backend untold has no pod-template-hash to stand for {{.PodTemplateHash}}")
	for _, words := range []string{"calls {{.Backend}}", "{{.Pod}}", "{{if .Side}}x{{end}}"} {
		_, err := NewPrometheus(PrometheusConfig{Address: "http://a", Calls: words, Errors: "x", Sides: true})
		if err == nil || !strings.Contains(err.Error(), "only {{.Namespace}}, {{.Name}}, {{.Side}}, {{.Service}}, {{.Workload}} and {{.PodTemplateHash}} may stand in a query") {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// A version that is compared with itself is always as good as it is.
func TestQueriesTellTheSidesApart(t *testing.T) {
	for name, c := range map[string]struct {
		calls, errors string
		sides         bool
		want          string
	}{
		"calls of both":             {`c{pod=~"{{.Workload}}-.*"}`, `e{pod=~"{{.Workload}}-{{.PodTemplateHash}}-.*"}`, true, "calls: the query asks the same of both sides"},
		"errors of both":            {"c {{.Side}}", "e {{.Namespace}}", true, "errors: the query asks the same of both sides"},
		"by the hash":               {"c {{.PodTemplateHash}}", "e {{.PodTemplateHash}}", true, ""},
		"by the side":               {"c {{.Side}}", "e {{.Side}}", true, ""},
		"by the Service":            {"c {{.Service}}", "e {{.Service}}", true, ""},
		"of backends, not of sides": {"c {{.Namespace}}", "e {{.Namespace}}", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewPrometheus(PrometheusConfig{Address: "http://a", Calls: c.calls, Errors: c.errors, Sides: c.sides})
			if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) && c.want != "" {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
