package signals

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"pgregory.net/rapid"
)

// sharedStore has series of two namespaces, and of none, and notes whose are read.
type sharedStore struct{ read map[string]bool }

// Querier implements storage.Queryable.
func (s *sharedStore) Querier(_, _ int64) (storage.Querier, error) { return s, nil }

// Select implements storage.Querier.
func (s *sharedStore) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &listedSeries{at: -1}
	for _, namespace := range []string{"", "rival", "shop"} {
		for _, name := range []string{"calls", "errors", "target_info"} {
			for _, pod := range []string{"a", "b"} {
				series := labels.FromStrings(model.MetricNameLabel, name, "instance", pod, "job", "x", "namespace", namespace, "pod", pod)
				if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(series.Get(m.Name)) }) {
					continue
				}
				s.read[namespace] = true
				found.series = append(found.series, storage.NewListSeries(series.WithoutEmpty(), []chunks.Sample{one(hints.Start), one(hints.End)}))
			}
		}
	}
	return found
}

// LabelValues implements storage.Querier.
func (*sharedStore) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier.
func (*sharedStore) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (*sharedStore) Close() error { return nil }

// listedSeries is a storage.SeriesSet.
type listedSeries struct {
	series []storage.Series
	at     int
}

func (l *listedSeries) Next() bool                      { l.at++; return l.at < len(l.series) }
func (l *listedSeries) At() storage.Series              { return l.series[l.at] }
func (*listedSeries) Err() error                        { return nil }
func (*listedSeries) Warnings() annotations.Annotations { return nil }

// one is a sample of the value 1 at a time, in milliseconds.
type one int64

func (o one) T() int64                    { return int64(o) }
func (one) ST() int64                     { return 0 }
func (one) F() float64                    { return 1 }
func (one) H() *histogram.Histogram       { return nil }
func (one) FH() *histogram.FloatHistogram { return nil }
func (one) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (o one) Copy() chunks.Sample         { return o }

// permissive is a server with everything turned on that a query may ask for.
func permissive() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true,
		}),
	})
}

// readBy is whose series a query reads, and what a server says against it.
func readBy(t interface{ Context() context.Context }, engine *promql.Engine, query string) ([]string, error) {
	store := &sharedStore{read: map[string]bool{}}
	asked, err := engine.NewInstantQuery(t.Context(), store, nil, query, noon)
	if err != nil {
		return nil, err
	}
	defer asked.Close()
	err = asked.Exec(t.Context()).Err
	return slices.Sorted(maps.Keys(store.read)), err
}

var ofShop = Only{Label: "namespace", Value: "shop"}

// TestNoQueryReadsSeriesOfAnotherNamespace: as it is written each of them does, on a server that many share.
func TestNoQueryReadsSeriesOfAnotherNamespace(t *testing.T) {
	engine := permissive()
	for name, c := range map[string]struct{ query, bound string }{
		"a name":                             {`calls`, `calls{namespace="shop"}`},
		"every name":                         {`{__name__=~".+"}`, `{__name__=~".+",namespace="shop"}`},
		"a name as a string":                 {`{"calls"}`, `{__name__="calls",namespace="shop"}`},
		"another namespace":                  {`calls{namespace="rival"}`, `calls{namespace="rival",namespace="shop"}`},
		"another namespace as a string":      {`{"calls","namespace"="rival"}`, `{__name__="calls",namespace="rival",namespace="shop"}`},
		"any namespace":                      {`calls{namespace=~".*"}`, `calls{namespace="shop",namespace=~".*"}`},
		"any namespace but one's own":        {`calls{namespace!="shop"}`, `calls{namespace!="shop",namespace="shop"}`},
		"a namespace that begins so":         {`calls{namespace!~"shopping"}`, `calls{namespace!~"shopping",namespace="shop"}`},
		"no namespace":                       {`calls{namespace=""}`, `calls{namespace="",namespace="shop"}`},
		"one's own and another":              {`calls{namespace="shop"} or calls`, `calls{namespace="shop"} or calls{namespace="shop"}`},
		"a range":                            {`rate(calls[5m])`, `rate(calls{namespace="shop"}[5m])`},
		"a range with an offset":             {`increase(calls[5m] offset 1h)`, `increase(calls{namespace="shop"}[5m] offset 1h)`},
		"a negative offset":                  {`calls offset -5m`, `calls{namespace="shop"} offset -5m`},
		"a time":                             {`calls @ 1609746000`, `calls{namespace="shop"} @ 1609746000.000`},
		"the start":                          {`calls @ start()`, `calls{namespace="shop"} @ start()`},
		"a subquery":                         {`max_over_time(calls[1h:5m])`, `max_over_time(calls{namespace="shop"}[1h:5m])`},
		"a subquery of a subquery":           {`max_over_time(rate(calls[5m])[1h:] offset 1m)`, `max_over_time(rate(calls{namespace="shop"}[5m])[1h:] offset 1m)`},
		"a binary operation":                 {`calls - on (pod) group_left errors`, `calls{namespace="shop"} - on (pod) group_left () errors{namespace="shop"}`},
		"a set operation":                    {`calls unless errors`, `calls{namespace="shop"} unless errors{namespace="shop"}`},
		"a comparison":                       {`calls > bool 1`, `calls{namespace="shop"} > bool 1`},
		"minus":                              {`-calls`, `-calls{namespace="shop"}`},
		"parentheses":                        {`((calls))`, `((calls{namespace="shop"}))`},
		"an aggregation":                     {`sum by (namespace) (calls)`, `sum by (namespace) (calls{namespace="shop"})`},
		"the parameter of one":               {`topk(scalar(sum(calls)), vector(1))`, `topk(scalar(sum(calls{namespace="shop"})), vector(1))`},
		"quantiles":                          {`quantile(scalar(errors) / 9, calls)`, `quantile(scalar(errors{namespace="shop"}) / 9, calls{namespace="shop"})`},
		"what is absent":                     {`absent(calls{namespace="rival"})`, `absent(calls{namespace="rival",namespace="shop"})`},
		"a label that is made":               {`label_replace(calls, "namespace", "shop", "", "")`, `label_replace(calls{namespace="shop"}, "namespace", "shop", "", "")`},
		"labels that are joined":             {`label_join(calls, "namespace", ",", "pod")`, `label_join(calls{namespace="shop"}, "namespace", ",", "pod")`},
		"a function's second argument":       {`clamp_max(vector(7), scalar(sum(calls)))`, `clamp_max(vector(7), scalar(sum(calls{namespace="shop"})))`},
		"a comment":                          {"calls # {namespace=\"shop\"}\n", `calls{namespace="shop"}`},
		"a comment that hides the end":       {"errors{pod=\"a\"# }\n}", `errors{namespace="shop",pod="a"}`},
		"a string with braces":               {`calls{pod!="}, {namespace=\"shop\"} #"}`, `calls{namespace="shop",pod!="}, {namespace=\"shop\"} #"}`},
		"a string in backticks":              {"calls{pod!=`\\\"}`}", `calls{namespace="shop",pod!="\\\"}"}`},
		"a string in single quotes":          {`calls{pod!='"'}`, `calls{namespace="shop",pod!="\""}`},
		"something else where there is none": {`absent(nothing) * on () group_right () calls`, `absent(nothing{namespace="shop"}) * on () group_right () calls{namespace="shop"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if read, err := readBy(t, engine, c.query); !slices.Contains(read, "rival") && !slices.Contains(read, "") {
				t.Errorf("as it is written it reads series of %q (%v): it shows nothing", read, err)
			}
			bound, err := ofShop.bind(c.query)
			if err != nil {
				t.Fatal(err)
			}
			if bound != c.bound {
				t.Errorf("%s\nwant %s", bound, c.bound)
			}
			if read, err := readBy(t, engine, bound); err != nil || slices.ContainsFunc(read, func(namespace string) bool { return namespace != "shop" }) {
				t.Errorf("%s reads series of %q, %v", bound, read, err)
			}
			if again, err := ofShop.bind(bound); err != nil || again != bound {
				t.Errorf("bound twice it is %s, %v", again, err)
			}
		})
	}
}

// TestWhatCannotBeReadIsNotBound: a query for a server with more than PromQL, and one whose series nobody names in it.
func TestWhatCannotBeReadIsNotBound(t *testing.T) {
	for name, c := range map[string]struct{ query, words string }{
		"nonsense":                          {`calls{`, "parse error"},
		"two queries":                       {`calls} or {__name__="errors"`, "parse error"},
		"nothing but labels of nothing":     {`{pod=""}`, "at least one non-empty matcher"},
		"series that only the server names": {`info(calls)`, `function "info" is not enabled`},
		"MetricsQL's alternatives":          {`calls{pod="a" or namespace="rival"}`, "parse error"},
		"MetricsQL's templates":             {`WITH (x = calls) x`, "parse error"},
		"a lone string":                     {`"a`, "unterminated"},
		"a label twice by a placeholder":    {`calls{pod="a"} {namespace="rival"}`, "parse error"},
		"bytes that are no text":            {"calls{pod=\"\xff\"}", "parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			bound, err := ofShop.bind(c.query)
			if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "is not sent") {
				t.Errorf("%q, error %v does not say %q", bound, err, c.words)
			}
		})
	}
}

// TestAnyQueryIsBoundOrRefused: whatever is put together, a server reads series of one namespace, or is not asked.
func TestAnyQueryIsBoundOrRefused(t *testing.T) {
	engine := permissive()
	pieces := []string{
		"calls", "errors", `{__name__=~".+"}`, `{"calls"}`, "{", "}", "(", ")", ",", `namespace="rival"`, `namespace=~".*"`, `namespace="shop"`, `pod="a"`,
		"[5m]", "[1h:1m]", " offset 5m", " @ end()", " or ", " and ", " + ", " > bool ", "sum", "topk(2, ", "rate(", "max_over_time(", " by (namespace) ",
		"scalar(", "vector(1)", "info(", "label_replace(", `"`, "'", "`", `\`, "#", "\n", " ", "{{.Name}}", "1", "é", "\x00",
	}
	selector := rapid.Custom(func(t *rapid.T) string {
		matchers := rapid.SliceOfN(rapid.SampledFrom([]string{
			`namespace="rival"`, `namespace=~".*"`, `namespace!="shop"`, `namespace="shop"`, `namespace!~"a|b"`, `pod=~"a|}"`, `pod!="{"`, `"namespace"="rival"`,
		}), 0, 3).Draw(t, "matchers")
		name := rapid.SampledFrom([]string{"calls", "errors", ""}).Draw(t, "name")
		if name == "" {
			matchers = append(matchers, `__name__!=""`)
		}
		return name + "{" + strings.Join(matchers, ",") + "}" + rapid.SampledFrom([]string{"", " offset 1m", " @ start()"}).Draw(t, "when")
	})
	var query func(depth int) *rapid.Generator[string]
	query = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return selector
		}
		return rapid.Custom(func(t *rapid.T) string {
			one, other := query(depth-1).Draw(t, "one"), query(depth-1).Draw(t, "other")
			form := rapid.SampledFrom([]string{
				"A", "(A)", "-(A)", "sum(A)", "sum by (namespace) (A)", "topk(scalar(A), B)", "count_values(\"x\", A)", "A or B", "A unless B", "(A) - on () (B)",
				"(A) * on (pod) group_left (namespace) (B)", "max_over_time((A)[1h:30m])", "absent(A)", "absent_over_time((A)[10m:])", "scalar(A) + (B)",
				"label_replace(A, \"namespace\", \"$1\", \"pod\", \"(.*)\")", "timestamp(A) # B\n", "clamp_max(A, scalar(B))", "sort_desc(A)",
			}).Draw(t, "form")
			return strings.NewReplacer("A", one, "B", other).Replace(form)
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			query(3), rapid.String(),
			rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 12), func(of []string) string { return strings.Join(of, "") }),
		).Draw(t, "query")
		bound, err := ofShop.bind(text)
		if err != nil {
			return
		}
		if read, _ := readBy(t, engine, bound); slices.ContainsFunc(read, func(namespace string) bool { return namespace != "shop" }) {
			t.Fatalf("%q became %q, which reads series of %q", text, bound, read)
		}
	})
}

// TestAQueryIsBoundAfterItsPlaceholdersAreFilledIn: what stands for them is a part of the query, braces and all.
func TestAQueryIsBoundAfterItsPlaceholdersAreFilledIn(t *testing.T) {
	p := newPromTest(t, func(c *PrometheusConfig) {
		c.Only, c.Calls, c.Errors = &ofShop, `{{.Name}}{namespace="{{.Service}}"}`, `errors or vector(0)`
	})
	p.query.Name, p.query.Backends[0].Service = `calls or errors`, `rival"} or {namespace="rival`
	p.server.results[`calls{namespace="shop"} or errors{namespace="rival",namespace="shop"} or {namespace="rival",namespace="shop"}`] = vector(noon, "", "7")
	p.server.results[`errors{namespace="shop"} or vector(0)`] = vector(noon, "", "0")
	wantUnknown(t, p.look(), "primary", UnknownFirstLook, "")
}

// TestAQueryThatCannotBeBoundIsNotSent: neither is any other, and it is said why.
func TestAQueryThatCannotBeBoundIsNotSent(t *testing.T) {
	p := newPromTest(t, func(c *PrometheusConfig) { c.Only, c.Errors = &ofShop, `info(calls)` })
	p.server.instead = func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }
	wantUnknown(t, p.look(), "primary", UnknownQuery, `errors: the query cannot be kept to series with namespace="shop", and is not sent`)

	t.Log("of one that is for its latencies alone, the calls are known")
	p = newPromTest(t, func(c *PrometheusConfig) {
		c.Only, c.Calls, c.Errors, c.Latencies = &ofShop, "calls", "vector(0)", "sum("
	})
	p.server.results[`calls{namespace="shop"}`], p.server.results["vector(0)"] = vector(noon, "", "7"), vector(noon, "", "0")
	wantUnknown(t, p.look(), "primary", UnknownFirstLook, "")
	p.advance(time.Second)
	p.server.results[`calls{namespace="shop"}`], p.server.results["vector(0)"] = vector(p.server.now, "", "8"), vector(p.server.now, "", "0")
	reading := p.look()
	wantCounts(t, reading, "primary", 1, 0)
	if why := reading.Backends["primary"].NoLatencies; !strings.HasPrefix(why, "latencies: the query cannot be kept") {
		t.Errorf("the latencies: %q", why)
	}
}

func BenchmarkBind(b *testing.B) {
	query := `grpc_server_handled_total{namespace="shop",pod=~"greeter-(00-)?7d4b9c-[a-z0-9]+",grpc_code=~"Unknown|Internal|Unavailable|DataLoss"} or vector(0)`
	for b.Loop() {
		if _, err := ofShop.bind(query); err != nil {
			b.Fatal(err)
		}
	}
}
