package signals

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

const (
	callsQuery  = `sum(grpc_server_handled_total{namespace="{{.Namespace}}",service="{{.Service}}"})`
	errorsQuery = `sum(grpc_server_handled_total{namespace="{{.Namespace}}",service="{{.Service}}",grpc_code!="OK"}) or vector(0)`
)

// fakePrometheus is a server on a real socket that answers queries with fixed results.
type fakePrometheus struct {
	mu      sync.Mutex
	now     time.Time
	results map[string]string
	// instead answers in place of it all.
	instead http.HandlerFunc
	// at are the times that were asked for.
	at     map[string]bool
	tokens map[string]bool
}

func vector(when time.Time, samples ...string) string {
	parts := make([]string, 0, len(samples)/2)
	for i := 0; i < len(samples); i += 2 {
		parts = append(parts, fmt.Sprintf(`{"metric":{%s},"value":[%f,%q]}`, samples[i], float64(when.UnixMilli())/1000, samples[i+1]))
	}
	return `{"resultType":"vector","result":[` + strings.Join(parts, ",") + `]}`
}

func scalar(when time.Time, value string) string {
	return fmt.Sprintf(`{"resultType":"scalar","result":[%f,%q]}`, float64(when.UnixMilli())/1000, value)
}

func (p *fakePrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[r.Header.Get("Authorization")] = true
	if p.instead != nil {
		p.instead(w, r)
		return
	}
	query := r.FormValue("query")
	if query == "time()" {
		_, _ = fmt.Fprintf(w, `{"status":"success","data":%s}`, scalar(p.now, strconv.FormatInt(p.now.Unix(), 10)))
		return
	}
	p.at[r.FormValue("time")] = true
	result, ok := p.results[query]
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":"no such query: %s"}`, strings.ReplaceAll(query, `"`, `\"`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"status":"success","warnings":["not all of it"],"data":%s}`, result)
}

type promTest struct {
	*Prometheus
	t      *testing.T
	clock  *clocktesting.FakePassiveClock
	server *fakePrometheus
	query  Query
}

func newPromTest(t *testing.T, change ...func(*PrometheusConfig)) *promTest {
	t.Helper()
	p := &promTest{t: t, clock: clocktesting.NewFakePassiveClock(noon)}
	p.server = &fakePrometheus{now: noon, results: map[string]string{}, at: map[string]bool{}, tokens: map[string]bool{}}
	server := httptest.NewServer(p.server)
	t.Cleanup(server.Close)
	config := PrometheusConfig{Address: server.URL, Calls: callsQuery, Errors: errorsQuery, Client: &http.Client{Transport: &http.Transport{}}, Clock: p.clock}
	for _, c := range change {
		c(&config)
	}
	t.Cleanup(config.Client.CloseIdleConnections)
	source, err := NewPrometheus(config)
	if err != nil {
		t.Fatal(err)
	}
	p.Prometheus = source
	p.query = Query{Namespace: "shop", Name: "greeter", Backends: []Backend{{Name: "primary", Service: "grpc-primary"}}}
	return p
}

// begins sets what the query for calls that have begun returns.
func (p *promTest) begins(begun string) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.results["begun of grpc-primary"] = begun
}

// answers sets what the two queries of a backend's Service return.
func (p *promTest) answers(calls, failures string) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.server.results[strings.NewReplacer("{{.Namespace}}", "shop", "{{.Service}}", "grpc-primary").Replace(callsQuery)] = calls
	p.server.results[strings.NewReplacer("{{.Namespace}}", "shop", "{{.Service}}", "grpc-primary").Replace(errorsQuery)] = failures
}

// numbers are results without labels, as sums have.
func (p *promTest) numbers(calls, failures string) {
	p.answers(vector(p.server.now, "", calls), vector(p.server.now, "", failures))
}

func (p *promTest) advance(by time.Duration) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	p.clock.SetTime(p.clock.Now().Add(by))
	p.server.now = p.server.now.Add(by)
}

func (p *promTest) look() Reading {
	p.t.Helper()
	reading, err := p.Read(context.Background(), p.query)
	if (err != nil) != (reading.Answered == 0) || len(reading.Backends) != len(p.query.Backends) {
		p.t.Errorf("error %v, reading %+v", err, reading)
	}
	return reading
}

func TestPrometheusCounts(t *testing.T) {
	p := newPromTest(t)
	p.numbers("1000", "10")
	wantUnknown(t, p.look(), "primary", UnknownFirstLook, "first look")
	p.advance(10 * time.Second)
	p.numbers("1100", "13")
	reading := p.look()
	wantCounts(t, reading, "primary", 100, 3)
	if counts := reading.Backends["primary"]; !counts.Start.Equal(noon) || !counts.End.Equal(noon.Add(10*time.Second)) {
		t.Errorf("counted from %s to %s", counts.Start, counts.End)
	}
	if len(reading.Notes) != 1 || reading.Notes[0] != "not all of it" {
		t.Errorf("warnings are lost: %q", reading.Notes)
	}
	if len(p.server.at) != 2 || p.server.at[""] {
		t.Errorf("asked for these times: %v, want one for each look", p.server.at)
	}
	p.advance(10 * time.Second)
	p.answers(scalar(p.server.now, "1101.6"), scalar(p.server.now, "13"))
	wantCounts(t, p.look(), "primary", 1, 0)
	p.advance(10 * time.Second)
	p.answers(scalar(p.server.now, "1102"), scalar(p.server.now, "13"))
	wantCounts(t, p.look(), "primary", 1, 0)
}

func TestPrometheusSumsThatFall(t *testing.T) {
	p := newPromTest(t)
	p.numbers("10000", "10")
	p.look()

	t.Log("one of two pods is not scraped for a moment")
	p.advance(10 * time.Second)
	p.numbers("5010", "10")
	wantUnknown(t, p.look(), "primary", UnknownReset, "without sum()")
	p.advance(10 * time.Second)
	p.numbers("10030", "12")
	wantCounts(t, p.look(), "primary", 30, 2)
	p.advance(10 * time.Second)
	p.numbers("10040", "12")
	wantCounts(t, p.look(), "primary", 10, 0)
}

func TestPrometheusSeriesAsTheyAre(t *testing.T) {
	p := newPromTest(t)
	series := func(pod, code string) string {
		return fmt.Sprintf(`"__name__":"grpc_server_handled_total","pod":%q,"instance":%q,"grpc_code":%q`, pod, pod+":8080", code)
	}
	ok := func(pod string) string { return series(pod, "OK") }
	p.answers(vector(noon, ok("a"), "100", ok("b"), "200"), vector(noon, "", "0"))
	p.look()

	t.Log("a series of a pod that is known started after the last look")
	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, ok("a"), "105", ok("b"), "200", series("a", "Internal"), "3"),
		vector(p.server.now, series("a", "Internal"), "3", "", "0"))
	wantCounts(t, p.look(), "primary", 8, 3)

	t.Log("a pod that is new is a baseline, one that vanished takes nothing along")
	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, ok("a"), "106", ok("c"), "5000", series("a", "Internal"), "3"),
		vector(p.server.now, series("a", "Internal"), "3", "", "0"))
	wantCounts(t, p.look(), "primary", 1, 0)

	t.Log("one that comes back counts what it grew by; one that fell counts nothing")
	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, ok("a"), "50", ok("b"), "204", ok("c"), "5001", series("a", "Internal"), "3"),
		vector(p.server.now, series("a", "Internal"), "3", "", "0"))
	wantCounts(t, p.look(), "primary", 5, 0)
	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, ok("a"), "107", ok("b"), "204", ok("c"), "5001", series("a", "Internal"), "3"),
		vector(p.server.now, series("a", "Internal"), "3", "", "0"))
	wantCounts(t, p.look(), "primary", 1, 0)
}

func TestPrometheusTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		calls, errors string
		why           Unknown
		words         string
	}{
		"no result":        {calls: vector(noon), why: UnknownEmpty, words: "calls: the result is empty"},
		"no errors result": {calls: vector(noon, "", "1"), errors: vector(noon), why: UnknownEmpty, words: "errors: the result is empty: a query for something that may not have happened yet ends in `or vector(0)`"},
		"NaN":              {calls: vector(noon, "", "NaN"), why: UnknownGarbage, words: "NaN"},
		"infinite":         {calls: vector(noon, "", "+Inf"), why: UnknownGarbage, words: "+Inf"},
		"negative":         {calls: vector(noon, "", "-1"), why: UnknownGarbage, words: "-1"},
		"an old sample":    {calls: vector(noon.Add(-time.Hour), "", "1"), why: UnknownTime, words: "11:00:00"},
		"a future sample":  {calls: vector(noon.Add(time.Hour), "", "1"), why: UnknownTime, words: "13:00:00"},
		"a range":          {calls: `{"resultType":"matrix","result":[]}`, why: UnknownGarbage, words: "matrix"},
		"a string":         {calls: fmt.Sprintf(`{"resultType":"string","result":[%d,"x"]}`, noon.Unix()), why: UnknownGarbage, words: "string"},
		"a histogram": {
			calls: fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{},"histogram":[%d,{"count":"1","sum":"1","buckets":[]}]}]}`, noon.Unix()),
			why:   UnknownGarbage, words: "histogram",
		},
		"a refused query": {why: UnknownGarbage, words: "refuses the query: no such query"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPromTest(t)
			if test.calls != "" {
				p.answers(test.calls, test.errors)
			}
			reading := p.look()
			wantUnknown(t, reading, "primary", test.why, test.words)
			if health := p.Health(); health.Failures != 0 || !strings.Contains(health.LastError, "backend primary") {
				t.Errorf("health %+v", health)
			}
		})
	}
}

func TestPrometheusThatDoesNotAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		instead http.HandlerFunc
		change  func(*PrometheusConfig)
		why     Unknown
		words   string
	}{
		"503":  {instead: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, why: UnknownUnreachable, words: "503"},
		"401":  {instead: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, why: UnknownUnreachable, words: "401"},
		"HTML": {instead: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, why: UnknownGarbage, words: "not Prometheus's"},
		"half": {instead: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"status"`)
		}, why: UnknownUnreachable, words: "EOF"},
		"huge": {
			instead: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", 1<<20)) },
			change:  func(c *PrometheusConfig) { c.MaxBytes = 1000 }, why: UnknownGarbage, words: "too large",
		},
		"slow": {
			instead: func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
			change:  func(c *PrometheusConfig) { c.Timeout = 30 * time.Millisecond }, why: UnknownUnreachable, words: "in time",
		},
		"elsewhere": {instead: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		}, why: UnknownGarbage, words: "307"},
		"no credentials": {change: func(c *PrometheusConfig) {
			c.Credentials = func(context.Context) (Credentials, error) {
				return Credentials{}, errors.New("Secret prom-token does not exist")
			}
		}, why: UnknownUnreachable, words: "Secret prom-token does not exist"},
		"a CA that is none": {change: func(c *PrometheusConfig) {
			c.Credentials = func(context.Context) (Credentials, error) { return Credentials{CA: []byte("x")}, nil }
		}, why: UnknownUnreachable, words: "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*PrometheusConfig)
			if test.change != nil {
				change = append(change, test.change)
			}
			p := newPromTest(t, change...)
			p.server.instead = test.instead
			wantUnknown(t, p.look(), "primary", test.why, test.words)
			p.advance(time.Second)
			p.look()
			if health := p.Health(); health.Failures != 2 || !strings.Contains(health.LastError, test.words) || !health.LastSuccess.IsZero() {
				t.Errorf("health %+v", health)
			}
		})
	}
}

func TestPrometheusThatLiesAboutTheTime(t *testing.T) {
	start := func(t *testing.T) *promTest {
		t.Helper()
		p := newPromTest(t)
		p.numbers("100", "0")
		p.look()
		return p
	}
	t.Run("ahead", func(t *testing.T) {
		p := start(t)
		p.server.now = noon.Add(time.Hour)
		wantUnknown(t, p.look(), "primary", UnknownTime, "1h0m0s ahead")
	})
	t.Run("behind", func(t *testing.T) {
		p := start(t)
		p.server.now = noon.Add(-time.Hour)
		wantUnknown(t, p.look(), "primary", UnknownTime, "1h0m0s behind")
	})
	t.Run("back, and on from there", func(t *testing.T) {
		p := start(t)
		p.server.now = noon.Add(-5 * time.Second)
		wantUnknown(t, p.look(), "primary", UnknownTime, "went back by 5s")
		p.advance(5 * time.Second)
		p.numbers("107", "0")
		wantCounts(t, p.look(), "primary", 7, 0)
	})
	t.Run("frozen", func(t *testing.T) {
		p := start(t)
		p.clock.SetTime(noon.Add(10 * time.Second))
		wantUnknown(t, p.look(), "primary", UnknownTime, "stands still")
	})
	t.Run("a long pause", func(t *testing.T) {
		p := start(t)
		p.advance(time.Hour)
		p.numbers("9000", "9000")
		wantUnknown(t, p.look(), "primary", UnknownGap, "1h0m0s ago")
		p.advance(10 * time.Second)
		p.numbers("9001", "9000")
		wantCounts(t, p.look(), "primary", 1, 0)
	})
	t.Run("a pause as long as a reading may be used", func(t *testing.T) {
		p := start(t)
		p.advance(30 * time.Second)
		p.numbers("9000", "900")
		wantCounts(t, p.look(), "primary", 8900, 900)
	})
	t.Run("errors of an outage, which may be over", func(t *testing.T) {
		p := start(t)
		p.advance(time.Minute)
		p.numbers("9000", "900")
		wantUnknown(t, p.look(), "primary", UnknownGap, "1m0s ago")
		p.advance(time.Second)
		p.numbers("9200", "900")
		wantCounts(t, p.look(), "primary", 200, 0)
	})
	t.Run("our own clock goes back", func(t *testing.T) {
		p := start(t)
		p.server.now = noon.Add(-time.Hour)
		p.clock.SetTime(noon.Add(-time.Hour))
		p.look()
		p.advance(10 * time.Second)
		p.numbers("107", "0")
		wantUnknown(t, p.look(), "primary", UnknownFirstLook, "first look")
	})
}

func TestPrometheusMoreErrorsThanCalls(t *testing.T) {
	p := newPromTest(t)
	p.numbers("100", "0")
	p.look()
	p.advance(10 * time.Second)
	p.numbers("102", "3")
	wantUnknown(t, p.look(), "primary", UnknownInconsistent, "3 errors in 2 calls")
	p.advance(10 * time.Second)
	p.numbers("110", "4")
	reading := p.look()
	wantCounts(t, reading, "primary", 10, 4)
	if !reading.Backends["primary"].Start.Equal(noon) {
		t.Errorf("counted from %s", reading.Backends["primary"].Start)
	}
}

func TestPrometheusWithOneQueryFailing(t *testing.T) {
	p := newPromTest(t)
	p.numbers("100", "1")
	p.look()
	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, "", "110"), vector(p.server.now))
	wantUnknown(t, p.look(), "primary", UnknownEmpty, "errors: ")
	p.advance(10 * time.Second)
	p.numbers("120", "2")
	wantCounts(t, p.look(), "primary", 20, 1)
}

func TestPrometheusBackendsAreApart(t *testing.T) {
	p := newPromTest(t)
	p.query.Backends = append(p.query.Backends, Backend{Name: "elsewhere"})
	p.numbers("100", "0")
	p.look()
	p.advance(10 * time.Second)
	p.numbers("101", "0")
	reading := p.look()
	wantCounts(t, reading, "primary", 1, 0)
	wantUnknown(t, reading, "elsewhere", UnknownEmpty, "backend elsewhere has no Service")
}

func TestPrometheusOverTLSWithAToken(t *testing.T) {
	const token = "s3cret-t0ken"
	server := &fakePrometheus{now: noon, results: map[string]string{}, at: map[string]bool{}, tokens: map[string]bool{}}
	secure := httptest.NewUnstartedServer(server)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)

	credentials := Credentials{Token: []byte(token + "\n")}
	p := newPromTest(t, func(c *PrometheusConfig) {
		c.Address = secure.URL
		c.Credentials = func(context.Context) (Credentials, error) { return credentials, nil }
	})
	p.server = server
	p.numbers("1", "0")
	wantUnknown(t, p.look(), "primary", UnknownUnreachable, "certificate")
	if len(server.tokens) != 0 {
		t.Error("the token went to a server that was not verified")
	}

	credentials.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	wantUnknown(t, p.look(), "primary", UnknownFirstLook, "")
	if len(server.tokens) != 1 || !server.tokens["Bearer "+token] {
		t.Errorf("tokens %v", server.tokens)
	}

	t.Log("the token changes")
	credentials.Token = []byte("another")
	p.advance(time.Second)
	p.look()
	if !server.tokens["Bearer another"] {
		t.Errorf("tokens %v", server.tokens)
	}
	credentials.Token = []byte(token)

	t.Log("a server that says the token in its answers")
	for _, instead := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":%q}`, "bad "+r.Header.Get("Authorization"))
		},
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"status":"success","warnings":[%q],"data":%s}`, r.Header.Get("Authorization"), vector(noon))
		},
	} {
		server.instead = instead
		p.advance(time.Second)
		reading, err := p.Read(context.Background(), p.query)
		everything := fmt.Sprintf("%+v %+v %v", reading, p.Health(), err)
		if strings.Contains(everything, token) || !strings.Contains(everything, "redacted") {
			t.Errorf("the token is in %s", everything)
		}
	}
}

func TestPrometheusConfigurations(t *testing.T) {
	good := PrometheusConfig{Address: "https://prometheus:9090/prom", Calls: callsQuery, Errors: errorsQuery, Client: http.DefaultClient, Clock: clocktesting.NewFakePassiveClock(noon)}
	if _, err := NewPrometheus(good); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*PrometheusConfig)
		words  string
	}{
		"no query":              {func(c *PrometheusConfig) { c.Calls = " " }, "calls: the query is empty"},
		"an unknown field":      {func(c *PrometheusConfig) { c.Errors = "{{.Pod}}" }, "errors: {{.Pod}}: only {{.Namespace}}"},
		"half a template":       {func(c *PrometheusConfig) { c.Errors = "{{.Name" }, "errors: template"},
		"a loop":                {func(c *PrometheusConfig) { c.Calls = "{{range 1000000000}}x{{end}}" }, "may stand in a query"},
		"a function":            {func(c *PrometheusConfig) { c.Calls = `{{printf "%1000000000d" 1}}` }, "may stand in a query"},
		"a pipe":                {func(c *PrometheusConfig) { c.Calls = `{{.Name | len}}` }, "may stand in a query"},
		"a variable":            {func(c *PrometheusConfig) { c.Calls = `{{$x := .Name}}` }, "may stand in a query"},
		"a deep field":          {func(c *PrometheusConfig) { c.Calls = `{{.Name.X}}` }, "may stand in a query"},
		"another template":      {func(c *PrometheusConfig) { c.Calls = `{{define "x"}}{{end}}a` }, "may stand in a query"},
		"not a URL":             {func(c *PrometheusConfig) { c.Address = "://" }, "not a URL"},
		"a file":                {func(c *PrometheusConfig) { c.Address = "file:///etc/passwd" }, "not a URL"},
		"a password in the URL": {func(c *PrometheusConfig) { c.Address = "https://me:s3cret@prometheus" }, "user or password"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			test.change(&config)
			_, err := NewPrometheus(config)
			if err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v, want %q", err, test.words)
			}
		})
	}
}

// TestSumsNeverCountTwiceWhileOneServerIsBehind: two servers behind one address, one of which is a
// little behind, answer in turns.
func TestSumsNeverCountTwiceWhileOneServerIsBehind(t *testing.T) {
	for _, labels := range []string{"", `"__name__":"handled","instance":"a"`} {
		p := newPromTest(t)
		total := uint64(0)
		for i := range 20 {
			value := 1000 + 10*i
			if i%2 == 1 {
				value -= 25
			}
			result := vector(p.server.now, labels, strconv.Itoa(value))
			p.answers(result, vector(p.server.now, "", "0"))
			total += p.look().Backends["primary"].Calls
			p.advance(10 * time.Second)
		}
		if total > 190 {
			t.Errorf("%q: counted %d of 190 calls", labels, total)
		}
	}
}

func TestWholeCalls(t *testing.T) {
	for counted, want := range map[float64]uint64{0: 0, -1: 0, 0.5: 0, 0.9999999: 1, 7: 7, math.Pi: 3} {
		if got := wholeCalls(counted); got != want {
			t.Errorf("%v: %d, want %d", counted, got, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestTheTokenGoesToTheServerAlone(t *testing.T) {
	for address, want := range map[string]string{
		"https://prometheus:9090": "Bearer s3cret", "https://prometheus": "", "https://elsewhere:9090": "", "http://elsewhere:9090": "",
	} {
		got := ""
		g := &guard{token: "s3cret", host: "prometheus:9090", maxBytes: 1, next: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Authorization")
			return &http.Response{Body: http.NoBody}, nil
		})}
		request := httptest.NewRequest(http.MethodGet, address+"/", http.NoBody)
		response, err := g.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got != want || request.Header.Get("Authorization") != "" {
			t.Errorf("%s got %q", address, got)
		}
	}
}

// TestATokenIsNotSentInTheClear: neither is the question without it, and it is said why.
func TestATokenIsNotSentInTheClear(t *testing.T) {
	p := newPromTest(t, func(c *PrometheusConfig) {
		c.Credentials = func(context.Context) (Credentials, error) { return Credentials{Token: []byte("s3cret")}, nil }
	})
	p.server.instead = func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }
	wantUnknown(t, p.look(), "primary", UnknownUnreachable, "a bearer token is sent to https:// addresses only")

	g := &guard{token: "s3cret", host: "prometheus:9090", next: roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("the server was asked")
		return &http.Response{Body: http.NoBody}, nil
	})}
	response, err := g.RoundTrip(httptest.NewRequest(http.MethodGet, "http://prometheus:9090/", http.NoBody))
	if err == nil {
		_ = response.Body.Close()
		t.Error("it is no error")
	}
}
