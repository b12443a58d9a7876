package signals

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// fleet are pods of two sides on real sockets, which show what a test says.
type fleet struct {
	*Workload
	t     *testing.T
	clock *clocktesting.FakePassiveClock
	pods  map[string]*fakePod
	query Query
}

type fakePod struct {
	Pod
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func (p *fakePod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	answer := p.answer
	p.mu.Unlock()
	answer(w, r)
}

func (p *fakePod) says(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *fakePod) shows(text string) {
	p.says(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) })
}

// newFleet has pods a and b of stable and c of the canary, all ready.
func newFleet(t *testing.T, change ...func(*WorkloadConfig)) *fleet {
	t.Helper()
	f := &fleet{t: t, clock: clocktesting.NewFakePassiveClock(noon), pods: map[string]*fakePod{}}
	config := WorkloadConfig{Client: &http.Client{Transport: &http.Transport{}}, Clock: f.clock, Timeout: 5 * time.Second, LookTimeout: 10 * time.Second}
	for _, c := range change {
		c(&config)
	}
	t.Cleanup(config.Client.CloseIdleConnections)
	f.Workload = NewWorkload(config)
	f.query = Query{Backends: []Backend{{Name: "primary"}, {Name: "canary"}}}
	f.join(0, "a")
	f.join(0, "b")
	f.join(1, "c")
	return f
}

// join adds a pod to a side.
func (f *fleet) join(side int, name string) {
	pod := &fakePod{}
	pod.shows(calls(0, 0))
	server := httptest.NewServer(pod)
	f.t.Cleanup(server.Close)
	pod.Pod = Pod{ID: "uid-" + name, Name: name, Address: netip.MustParseAddrPort(server.Listener.Addr().String()), Ready: true}
	f.pods[name] = pod
	f.query.Backends[side].Pods = append(f.query.Backends[side].Pods, pod.Pod)
}

func (f *fleet) look() Reading {
	f.t.Helper()
	f.clock.SetTime(f.clock.Now().Add(time.Second))
	reading, err := f.Read(context.Background(), f.query)
	if (err != nil) != (reading.Answered == 0) || len(reading.Backends) != len(f.query.Backends) {
		f.t.Errorf("error %v, reading %+v", err, reading)
	}
	for name, counts := range reading.Backends {
		if counts.Known() == (counts.Message != "") || counts.Errors > counts.Calls {
			f.t.Errorf("%s: %+v", name, counts)
		}
	}
	return reading
}

func (f *fleet) wantAllUnknown(why Unknown, words string) {
	f.t.Helper()
	reading := f.look()
	for _, backend := range f.query.Backends {
		wantUnknown(f.t, reading, backend.Name, why, words)
	}
}

// calls is a page of a server that has answered so many, and fast ones of them within 0.1 s.
func calls(ok, failed int) string {
	return fmt.Sprintf(`# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="SayHello",grpc_service="helloworld.Greeter",grpc_type="unary"} %d
grpc_server_handled_total{grpc_code="Internal",grpc_method="SayHello",grpc_service="helloworld.Greeter",grpc_type="unary"} %d
`, ok, failed)
}

func workloadPageOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "workload", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Between the two pages, of a server that slept 30 ms in each call, were 61 calls, of which 28 ended with Internal and others before with NotFound.
func TestWorkloadCountsByThePagesOfARealServer(t *testing.T) {
	for name, c := range map[string]struct {
		codes        []string
		calls, fails uint64
	}{
		"the codes that are the service's fault": {nil, 61, 28},
		"those that somebody chose":              {[]string{"NotFound"}, 61, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, func(config *WorkloadConfig) { config.Codes = CodesOf(c.codes) })
			f.pods["c"].shows(workloadPageOf(t, "interceptor_1.txt"))
			f.wantAllUnknown(UnknownFirstLook, "first look")
			f.pods["c"].shows(workloadPageOf(t, "interceptor_2.txt"))
			reading := f.look()
			wantCounts(t, reading, "canary", c.calls, c.fails)
			wantCounts(t, reading, "primary", 0, 0)
			canary := reading.Backends["canary"]
			if canary.NoLatencies != "" || canary.Latencies.Calls() != float64(c.calls) || upTo(canary.Latencies, 25*time.Millisecond) != 0 {
				t.Errorf("latencies %v (%s)", canary.Latencies, canary.NoLatencies)
			}
			if !canary.Start.Equal(noon.Add(time.Second)) || !canary.End.Equal(noon.Add(2*time.Second)) {
				t.Errorf("counted from %s to %s", canary.Start, canary.End)
			}
		})
	}
}

func TestWorkloadAddsUpThePodsOfASide(t *testing.T) {
	f := newFleet(t)
	f.pods["a"].shows(calls(100, 1))
	f.look()
	f.pods["a"].shows(calls(105, 2))
	f.pods["b"].shows(calls(7, 3))
	wantCounts(t, f.look(), "primary", 16, 4)

	t.Log("a container starts again: what it has is new")
	f.pods["a"].shows(calls(3, 1))
	wantCounts(t, f.look(), "primary", 4, 1)

	t.Log("a pod that joins is counted from its first look on, and one that leaves no more")
	f.join(0, "d")
	f.pods["d"].shows(calls(1000, 1000))
	f.query.Backends[0].Pods = f.query.Backends[0].Pods[1:]
	f.pods["a"].shows(calls(900, 900))
	wantCounts(t, f.look(), "primary", 0, 0)
	f.pods["d"].shows(calls(1001, 1002))
	wantCounts(t, f.look(), "primary", 3, 2)
	if f.pods["b"].asked != 5 {
		t.Errorf("pod b was asked %d times in 5 looks", f.pods["b"].asked)
	}
}

func TestAProcessThatSaysWhenItStartedIsCountedExactlyAfterARestart(t *testing.T) {
	started := func(at int) string {
		return fmt.Sprintf("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %d\n", at)
	}
	f := newFleet(t)
	f.pods["c"].shows(calls(10, 0) + started(100))
	f.look()
	// More than before its restart: without the time it would look like 5 calls.
	f.pods["c"].shows(calls(15, 0) + started(200))
	wantCounts(t, f.look(), "canary", 15, 0)
}

func TestCallsOfHealthAndReflectionAreLeftOut(t *testing.T) {
	f := newFleet(t)
	f.look()
	f.pods["c"].shows(calls(1, 0) + `grpc_server_handled_total{grpc_code="OK",grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"} 999
grpc_server_handled_total{grpc_code="OK",grpc_method="ServerReflectionInfo",grpc_service="grpc.reflection.v1.ServerReflection",grpc_type="bidi_stream"} 999
`)
	wantCounts(t, f.look(), "canary", 1, 0)
}

// a66 is a page as gRPC's own metrics by OpenTelemetry look.
func a66(fast, slow, failed int) string {
	return fmt.Sprintf(`# TYPE grpc_server_call_duration_seconds histogram
grpc_server_call_duration_seconds_bucket{grpc_method="helloworld.Greeter/SayHello",grpc_status="OK",le="0.1"} %[1]d
grpc_server_call_duration_seconds_bucket{grpc_method="helloworld.Greeter/SayHello",grpc_status="OK",le="+Inf"} %[2]d
grpc_server_call_duration_seconds_sum{grpc_method="helloworld.Greeter/SayHello",grpc_status="OK"} 1
grpc_server_call_duration_seconds_count{grpc_method="helloworld.Greeter/SayHello",grpc_status="OK"} %[2]d
grpc_server_call_duration_seconds_bucket{grpc_method="helloworld.Greeter/SayHello",grpc_status="UNAVAILABLE",le="0.1"} 0
grpc_server_call_duration_seconds_bucket{grpc_method="helloworld.Greeter/SayHello",grpc_status="UNAVAILABLE",le="+Inf"} %[3]d
grpc_server_call_duration_seconds_sum{grpc_method="helloworld.Greeter/SayHello",grpc_status="UNAVAILABLE"} 1
grpc_server_call_duration_seconds_count{grpc_method="helloworld.Greeter/SayHello",grpc_status="UNAVAILABLE"} %[3]d
grpc_server_call_duration_seconds_bucket{grpc_method="grpc.health.v1.Health/Check",grpc_status="OK",le="+Inf"} 77
grpc_server_call_duration_seconds_sum{grpc_method="grpc.health.v1.Health/Check",grpc_status="OK"} 1
grpc_server_call_duration_seconds_count{grpc_method="grpc.health.v1.Health/Check",grpc_status="OK"} 77
`, fast, fast+slow, failed)
}

func TestMetricsOfOtherNames(t *testing.T) {
	for name, c := range map[string]struct {
		config        WorkloadConfig
		before, after string
		calls, errors uint64
		latencies     float64
	}{
		"gRPC's own, which nobody has to name": {WorkloadConfig{}, a66(5, 5, 1), a66(7, 6, 3), 5, 2, 5},
		"somebody's, with codes as numbers": {
			WorkloadConfig{Calls: "rpc_done", CodeLabel: "code", Latencies: "rpc_time"},
			`rpc_done{code="0"} 5` + "\n" + `rpc_done{code="14"} 5` + "\n",
			`rpc_done{code="0"} 7` + "\n" + `rpc_done{code="14"} 6` + "\n" + "# TYPE rpc_time histogram\n" +
				`rpc_time_bucket{le="+Inf"} 3` + "\nrpc_time_sum 1\nrpc_time_count 3\n", 3, 1, 3,
		},
		"gRPC's own with a label of another name": {
			WorkloadConfig{CodeLabel: "rpc_grpc_status_code", Calls: "grpc_server_call_duration_seconds"},
			strings.ReplaceAll(a66(5, 5, 1), "grpc_status=", "rpc_grpc_status_code="), strings.ReplaceAll(a66(7, 6, 3), "grpc_status=", "rpc_grpc_status_code="), 5, 2, 5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, func(config *WorkloadConfig) {
				config.Calls, config.CodeLabel, config.Latencies = c.config.Calls, c.config.CodeLabel, c.config.Latencies
			})
			f.query.Backends = f.query.Backends[1:]
			f.pods["c"].shows(c.before)
			f.wantAllUnknown(UnknownFirstLook, "first look")
			f.pods["c"].shows(c.after)
			reading := f.look()
			wantCounts(t, reading, "canary", c.calls, c.errors)
			if got := reading.Backends["canary"]; got.Latencies.Calls() != c.latencies || got.NoLatencies != "" {
				t.Errorf("latencies %v (%s)", got.Latencies, got.NoLatencies)
			}
		})
	}
}

func TestLatenciesAreThoseOfUnaryCalls(t *testing.T) {
	page := func(unary, streams int) string {
		text := calls(unary, 0) + "# TYPE grpc_server_handling_seconds histogram\n"
		for kind, n := range map[string]int{"unary": unary, "server_stream": streams} {
			text += fmt.Sprintf("grpc_server_handling_seconds_bucket{grpc_type=%q,le=\"+Inf\"} %d\ngrpc_server_handling_seconds_sum{grpc_type=%q} 1\ngrpc_server_handling_seconds_count{grpc_type=%q} %d\n",
				kind, n, kind, kind, n)
		}
		return text
	}
	f := newFleet(t)
	f.pods["c"].shows(page(1, 10))
	f.look()
	f.pods["c"].shows(page(3, 90))
	reading := f.look()
	if got := reading.Backends["canary"].Latencies.Calls(); got != 2 {
		t.Errorf("%v latencies", got)
	}
	if primary := reading.Backends["primary"]; primary.NoLatencies != "" || primary.Latencies.Calls() != 0 {
		t.Errorf("a side whose server had no call yet: %+v", primary)
	}
}

func TestWithoutAHistogramCallsAreCountedAndLatenciesNot(t *testing.T) {
	f := newFleet(t)
	f.look()
	f.pods["c"].shows(calls(1, 0))
	reading := f.look()
	wantCounts(t, reading, "canary", 1, 0)
	if why := reading.Backends["canary"].NoLatencies; !strings.Contains(why, "grpc_server_handling_seconds") {
		t.Errorf("no latencies because %q", why)
	}
}

func TestAPodThatIsSilent(t *testing.T) {
	silent := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }
	t.Run("once is counted at its next answer", func(t *testing.T) {
		f := newFleet(t)
		f.look()
		f.pods["a"].says(silent)
		f.pods["b"].shows(calls(5, 0))
		reading := f.look()
		wantCounts(t, reading, "primary", 5, 0)
		if len(reading.Notes) != 1 || !strings.Contains(reading.Notes[0], "pod a: HTTP status 503") {
			t.Errorf("notes: %q", reading.Notes)
		}
		f.pods["a"].shows(calls(20, 0))
		wantCounts(t, f.look(), "primary", 20, 0)
	})
	t.Run("for long leaves everything unknown, until it answers again", func(t *testing.T) {
		f := newFleet(t)
		f.look()
		f.pods["a"].says(silent)
		f.pods["c"].shows(calls(5, 0))
		wantCounts(t, f.look(), "canary", 5, 0)
		f.clock.SetTime(f.clock.Now().Add(15 * time.Second))
		f.wantAllUnknown(UnknownUnreachable, "pod a of primary: HTTP status 503")
		f.pods["a"].shows(calls(20, 20))
		f.wantAllUnknown(UnknownGap, "counted from now on")
		f.pods["a"].shows(calls(21, 20))
		wantCounts(t, f.look(), "primary", 1, 0)
	})
	t.Run("from the beginning is waited for", func(t *testing.T) {
		f := newFleet(t)
		f.pods["c"].says(silent)
		f.wantAllUnknown(UnknownUnreachable, "pod c of canary")
		f.pods["c"].shows(calls(0, 0))
		f.wantAllUnknown(UnknownFirstLook, "")
	})
	t.Run("and not ready does not matter", func(t *testing.T) {
		f := newFleet(t)
		f.look()
		f.pods["a"].says(silent)
		f.query.Backends[0].Pods[0].Ready = false
		f.clock.SetTime(f.clock.Now().Add(10 * time.Second))
		f.pods["b"].shows(calls(5, 0))
		wantCounts(t, f.look(), "primary", 5, 0)
		f.clock.SetTime(f.clock.Now().Add(10 * time.Second))
		f.pods["b"].shows(calls(6, 0))
		wantCounts(t, f.look(), "primary", 1, 0)
	})
}

func TestPagesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		why    Unknown
		words  string
	}{
		"of something else": {func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>secret</html>") }, UnknownGarbage, "not metrics"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "# "+strings.Repeat("x", 5<<20))
		}, UnknownGarbage, "more than 4194304 bytes"},
		"that lead elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, UnknownUnreachable, "302"},
		"without a code": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "grpc_server_handled_total 5\n")
		}, UnknownGarbage, "no label grpc_code"},
		"with a code that is none": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "grpc_server_handled_total{grpc_code=\"secret\"} 5\n")
		}, UnknownGarbage, "no gRPC status code"},
		"with a counter that is none": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "grpc_server_handled_total{grpc_code=\"OK\"} -5\n")
		}, UnknownGarbage, "no counter"},
		"without a histogram's buckets": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, calls(1, 1)+"# TYPE grpc_server_handling_seconds counter\ngrpc_server_handling_seconds 5\n")
		}, UnknownGarbage, "no histogram"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.pods["c"].says(c.answer)
			reading := f.look()
			wantUnknown(t, reading, "canary", c.why, c.words)
			if message := reading.Backends["canary"].Message; strings.Contains(message, "secret") {
				t.Errorf("quotes the page: %s", message)
			}
		})
	}
	t.Run("of pods that have no such metric", func(t *testing.T) {
		f := newFleet(t)
		for _, pod := range f.pods {
			pod.shows("# TYPE up gauge\nup 1\n")
		}
		f.wantAllUnknown(UnknownEmpty, "no pod shows a metric grpc_server_handled_total")
	})
}

func TestPodsThatCannotBeCounted(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fleet)
		why    Unknown
		words  string
	}{
		"a side has none":               {func(f *fleet) { f.query.Backends[1].Pods = nil }, UnknownEmpty, "canary has no pods"},
		"nobody knows where they are":   {func(f *fleet) { f.query.Backends[0].NoPods = "no such port" }, UnknownEmpty, "primary: no such port"},
		"one belongs to both sides":     {func(f *fleet) { f.query.Backends[1].Pods = f.query.Backends[0].Pods }, UnknownAmbiguous, "pod a belongs to primary and to canary"},
		"there are none to ask at all":  {func(f *fleet) { f.query.Backends[0].Pods, f.query.Backends[1].Pods = nil, nil }, UnknownEmpty, "primary has no pods"},
		"the clock was put back before": {func(f *fleet) { f.clock.SetTime(noon.Add(-time.Hour)) }, UnknownFirstLook, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.look()
			c.change(f)
			f.wantAllUnknown(c.why, c.words)
		})
	}
}

func TestCodesAreReadAsLibrariesWriteThem(t *testing.T) {
	for text, want := range map[string]int{
		"OK": 0, "0": 0, "Canceled": 1, "CANCELLED": 1, "DeadlineExceeded": 4, "DEADLINE_EXCEEDED": 4, "deadline_exceeded": 4, "16": 16,
		"17": -1, "-1": -1, "": -1, "200": -1, "Success": -1,
	} {
		got, ok := codeOf(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	if CodesOf([]string(nil)) != nil || !CodesOf([]string{"NotFound"}).failed(5) || CodesOf([]string{"NotFound"}).failed(13) {
		t.Error("the codes that somebody chose are the ones that count")
	}
}

func BenchmarkParseWorkload(b *testing.B) {
	text, err := os.ReadFile(filepath.Join("testdata", "workload", "interceptor_2.txt"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if page, err := parseWorkload(text, metricNames{}, nil); err != nil || len(page.calls) == 0 {
			b.Fatal(err)
		}
	}
}

// Whatever a pod answers: it is read or refused, and nothing ends.
func FuzzParseWorkload(f *testing.F) {
	f.Add([]byte(calls(1, 2)))
	f.Add([]byte(a66(1, 2, 3)))
	f.Fuzz(func(t *testing.T, text []byte) {
		page, err := parseWorkload(text, metricNames{}, nil)
		if err != nil {
			return
		}
		grown := (&podLedger{page: page}).grow(page)
		if grown.calls != 0 || grown.latencies.Calls() != 0 {
			t.Errorf("a page grew by %v since itself", grown)
		}
	})
}
