package signals

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// begun is a page's text about calls that have begun, and such that health checks have.
func begun(calls int) string {
	return fmt.Sprintf(`# TYPE grpc_server_started_total counter
grpc_server_started_total{grpc_method="SayHello",grpc_service="helloworld.Greeter",grpc_type="unary"} %d
grpc_server_started_total{grpc_method="Watch",grpc_service="grpc.health.v1.Health",grpc_type="server_stream"} 99
`, calls)
}

// canceled is a page's text about calls that their callers gave up.
func canceled(calls int, code string) string {
	return fmt.Sprintf(`grpc_server_handled_total{grpc_code=%q,grpc_method="SayHello",grpc_service="helloworld.Greeter",grpc_type="unary"} %d
`, code, calls)
}

func TestCallsThatTheCallersOfAPodGaveUp(t *testing.T) {
	for name, c := range map[string]struct {
		code          string
		codes         []string
		calls, errors uint64
		cancelled     uint64
	}{
		"by name":                   {"Canceled", nil, 80, 5, 20},
		"in British":                {"CANCELLED", nil, 80, 5, 20},
		"by number":                 {"1", nil, 80, 5, 20},
		"beside codes of choice":    {"Canceled", []string{"NotFound"}, 80, 0, 20},
		"unless that is an error":   {"Canceled", []string{"Canceled"}, 100, 20, 0},
		"others are nothing of it":  {"NotFound", nil, 100, 5, 0},
		"nor are those out of time": {"DeadlineExceeded", nil, 100, 25, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, func(config *WorkloadConfig) { config.Codes = CodesOf(c.codes) })
			f.pods["c"].shows(calls(10, 1) + canceled(3, c.code))
			f.look()
			f.pods["c"].shows(calls(85, 6) + canceled(23, c.code))
			reading := f.look()
			wantCounts(t, reading, "canary", c.calls, c.errors)
			counts := reading.Backends["canary"]
			if counts.Cancelled != c.cancelled || !counts.TellsCancelled || counts.TellsBegun || counts.Begun != 0 {
				t.Errorf("%+v", counts)
			}
		})
	}
}

func TestCallsThatPodsHaveBegun(t *testing.T) {
	all := func(f *fleet, a, b, c string) Reading {
		f.pods["a"].shows(a)
		f.pods["b"].shows(b)
		f.pods["c"].shows(c)
		return f.look()
	}
	f := newFleet(t)
	all(f, calls(10, 0)+begun(12), calls(0, 0)+begun(0), calls(5, 0)+begun(5))
	reading := all(f, calls(20, 1)+begun(25), calls(4, 0)+begun(5), calls(5, 0)+canceled(10, "Canceled")+begun(20))
	wantCounts(t, reading, "primary", 15, 1)
	wantTold(t, reading, "primary", told{Begun: 18, InFlight: 5, Tells: true})
	wantCounts(t, reading, "canary", 0, 0)
	wantTold(t, reading, "canary", told{Begun: 15, InFlight: 5, Cancelled: 10, Tells: true})
	if diff := cmp.Diff([]PodCalls{{"uid-a", 11, 1}, {"uid-b", 4, 0}}, reading.Backends["primary"].Pods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	t.Log("what one pod does not say could be most of it")
	reading = all(f, calls(20, 1)+begun(25), calls(4, 0), calls(5, 0)+begun(20))
	for name, counts := range reading.Backends {
		if counts.TellsBegun || counts.Begun != 0 || counts.InFlight != 0 || !counts.TellsCancelled {
			t.Errorf("%s: %+v", name, counts)
		}
	}
	t.Log("one without calls has nothing to say")
	reading = all(f, calls(20, 1)+begun(25), "# TYPE up gauge\nup 1\n", calls(5, 0)+begun(20))
	wantTold(t, reading, "primary", told{InFlight: 4, Tells: true})
	t.Log("a page is no moment")
	reading = all(f, calls(30, 1)+begun(29), calls(4, 0)+begun(4), calls(5, 0)+begun(20))
	wantTold(t, reading, "primary", told{Begun: 8, Tells: true})
}

func TestTheCounterOfCallsThatHaveBegunBelongsToThatOfCalls(t *testing.T) {
	f := newFleet(t, func(config *WorkloadConfig) { config.Calls = "rpc_done" })
	for _, pod := range f.pods {
		pod.shows(strings.ReplaceAll(calls(1, 0), "grpc_server_handled_total", "rpc_done") + begun(7))
	}
	f.look()
	if counts := f.look().Backends["canary"]; counts.TellsBegun || !counts.TellsCancelled {
		t.Errorf("%+v", counts)
	}
	const started = `grpc_server_call_started_total{grpc_method="helloworld.Greeter/SayHello"} %d` + "\n"
	f = newFleet(t)
	for _, pod := range f.pods {
		pod.shows(a66(1, 1, 1) + fmt.Sprintf(started, 5))
	}
	f.look()
	f.pods["c"].shows(a66(2, 1, 1) + fmt.Sprintf(started, 9))
	wantTold(t, f.look(), "canary", told{Begun: 4, InFlight: 5, Tells: true})
}

// The start of a process is told as that of its machine and the time since, and the machine's moves where its clock is slewed.
func TestAStartThatMovesIsNoOtherProcess(t *testing.T) {
	page := func(started float64, ok, failed int) string {
		return fmt.Sprintf("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %f\n", started) + calls(ok, failed)
	}
	f := newFleet(t)
	f.pods["c"].shows(page(1000.5, 500_000, 400))
	f.look()
	for i, started := range []float64{1001.5, 1000.5, 999.5, 1001.4} {
		f.pods["c"].shows(page(started, 500_010+10*i, 400))
		wantCounts(t, f.look(), "canary", 10, 0)
	}
	t.Log("one that starts again at once has counters that fell")
	f.pods["c"].shows(page(1002, 4, 1))
	wantCounts(t, f.look(), "canary", 5, 1)
	t.Log("and one that starts later may have any")
	f.pods["c"].shows(page(1010, 8, 1))
	wantCounts(t, f.look(), "canary", 9, 1)
}

// Whatever calls of a pod begin and end, and whenever it starts again: none is counted that was not, and none twice.
func TestNoCallOfAPodIsCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		started := 1000
		var begunNow, ok, failed, cancelled int
		page := func() *workloadPage {
			text := calls(ok, failed) + canceled(cancelled, "Canceled") + begun(begunNow)
			if rapid.Bool().Draw(t, "says when it started") {
				text += fmt.Sprintf("process_start_time_seconds %d\n", started+rapid.IntRange(-1, 1).Draw(t, "slewed"))
			}
			out, err := parseWorkload([]byte(text), metricNames{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		l := &podLedger{page: page()}
		var truth, sum tally
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			if rapid.IntRange(0, 4).Draw(t, "starts again") == 0 {
				started += rapid.IntRange(5, 50).Draw(t, "later")
				begunNow, ok, failed, cancelled = 0, 0, 0, 0
			}
			some := func(what string) int { return rapid.IntRange(0, 20).Draw(t, what) }
			newOK, newFailed, newCancelled := some("ok"), some("failed"), some("cancelled")
			ok, failed, cancelled = ok+newOK, failed+newFailed, cancelled+newCancelled
			begunNow += newOK + newFailed + newCancelled
			truth.add(tally{
				calls: float64(newOK + newFailed), errors: float64(newFailed), cancelled: float64(newCancelled),
				begun: float64(newOK + newFailed + newCancelled),
			})
			now := page()
			sum.add(l.grow(now).tally)
			l.page = now
			if sum.calls > truth.calls || sum.errors > truth.errors || sum.cancelled > truth.cancelled || sum.begun > truth.begun {
				t.Fatalf("%+v of %+v", sum, truth)
			}
		}
	})
}
