package load_test

import (
	"context"
	"encoding/pem"
	"errors"
	"math"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/headgate/headgate/test/grpcapp/greeter"
	"github.com/headgate/headgate/test/grpcapp/internal/await"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/grpcapp/server"
)

// patient is a deadline that no healthy call misses, however busy the machine is.
const patient = 10 * time.Second

// never is a duration beyond the test.
const never = time.Hour

func serve(t *testing.T, cfg server.Config) *server.Local {
	t.Helper()
	cfg.StopAtOnce = true
	local, err := server.StartLocal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Stop(); err != nil {
			t.Error(err)
		}
	})
	return local
}

func begin(t *testing.T, cfg load.Config) *load.Run {
	t.Helper()
	run, err := load.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Stop() })
	return run
}

func assertVerdict(t *testing.T, report load.Report, want string) {
	t.Helper()
	if summary := report.Summary(); !strings.HasSuffix(summary, "\n"+want+"\n") {
		t.Errorf("the summary does not end with %q:\n%s", want, summary)
	}
}

func TestEveryCallOfTheRateIsMade(t *testing.T) {
	local := serve(t, server.Config{Pod: "greeter-a", Version: "1"})
	report := begin(t, load.Config{Target: local.GRPCAddress, Rate: 1000, Duration: 500 * time.Millisecond, Timeout: patient}).Wait()

	assertVerdict(t, report, "failed: 0 of 500")
	if report.ByPod["greeter-a"] != 500 || report.ByVersion["1"] != 500 || report.ByCode[codes.OK] != 500 {
		t.Errorf("counts are %v, %v, %v", report.ByPod, report.ByVersion, report.ByCode)
	}
	number := 0
	due := map[time.Duration]bool{}
	for call := range report.Calls() {
		number++
		due[call.Due.Sub(report.Start).Round(time.Microsecond)] = true
		if call.Latency < 0 || call.SendLag < 0 || call.SendLag > call.Latency {
			t.Errorf("call has latency %s and send lag %s", call.Latency, call.SendLag)
		}
	}
	for i := range 500 {
		if !due[time.Duration(i)*time.Millisecond] {
			t.Errorf("no call was due at %d ms", i)
		}
	}
	if number != 500 || report.Attempts != 500 || report.TransparentRetries != 0 {
		t.Errorf("%d calls, %d attempts, %d moved", number, report.Attempts, report.TransparentRetries)
	}
}

// A client that waited for answers would never have all of these in flight.
func TestCallsDoNotWaitForAnswers(t *testing.T) {
	local := serve(t, server.Config{})
	local.Freeze(server.ScopeGRPC, 0)
	run := begin(t, load.Config{
		Target: local.GRPCAddress, Rate: 500, Duration: 200 * time.Millisecond, Timeout: patient, WaitForReady: true,
	})
	await.Until(t, "all calls are in flight", func() bool { return run.Snapshot().InFlight == 100 })
	if snapshot := run.Snapshot(); snapshot.Total != 0 {
		t.Errorf("%d calls ended while the server was frozen", snapshot.Total)
	}
	local.Thaw()
	report := run.Wait()
	assertVerdict(t, report, "failed: 0 of 100")
	if report.InFlight != 0 {
		t.Errorf("%d calls are in flight after the run", report.InFlight)
	}
}

func TestCallsWaitForAPlaceWhereTheirNumberIsBounded(t *testing.T) {
	local := serve(t, server.Config{})
	local.Freeze(server.ScopeGRPC, 0)
	const bound, duration = 10, 200 * time.Millisecond
	began := time.Now()
	run := begin(t, load.Config{
		Target: local.GRPCAddress, Rate: 500, Duration: duration, Timeout: patient, WaitForReady: true, MaxInFlight: bound,
	})
	await.Until(t, "all calls are due", func() bool { return time.Since(began) > duration && run.Snapshot().InFlight >= bound })
	if under := run.Snapshot().InFlight; under != bound {
		t.Errorf("%d calls are under way, want %d", under, bound)
	}
	local.Thaw()
	report := run.Wait()
	assertVerdict(t, report, "failed: 0 of 100")
	if report.MaxSendLag == 0 {
		t.Error("no call had to wait")
	}
}

func TestNoCallWaitsForAPlaceAfterTheEnd(t *testing.T) {
	local := serve(t, server.Config{})
	local.Freeze(server.ScopeGRPC, 0)
	run := begin(t, load.Config{Target: local.GRPCAddress, Rate: 500, Timeout: patient, WaitForReady: true, MaxInFlight: 1})
	await.Until(t, "the place is taken", func() bool { return run.Snapshot().InFlight == 1 })
	ended := make(chan load.Report)
	go func() { ended <- run.Stop() }()
	local.Thaw()
	if report := <-ended; report.InFlight != 0 || report.Failed != 0 {
		t.Errorf("%d calls are under way after the end, %d failed", report.InFlight, report.Failed)
	}
}

func TestFrozenServersMissTheDeadline(t *testing.T) {
	local := serve(t, server.Config{})
	run := begin(t, load.Config{Target: local.GRPCAddress, Rate: 100, Timeout: 100 * time.Millisecond, Connections: 1})
	await.Until(t, "a call succeeded", func() bool { return run.Snapshot().ByCode[codes.OK] > 0 })
	run.Mark("frozen")
	local.Freeze(server.ScopeGRPC, 0)
	await.Until(t, "calls failed", func() bool { return run.Snapshot().ByCode[codes.DeadlineExceeded] >= 5 })
	report := run.Stop()

	if report.FirstFailure == nil || report.FirstFailure.Code != codes.DeadlineExceeded || report.Unanswered != report.Failed {
		t.Errorf("first failure is %+v, unanswered are %d of %d failed", report.FirstFailure, report.Unanswered, report.Failed)
	}
	if report.LongestGap.Duration() <= 0 || !report.LastFailure.Failed() {
		t.Errorf("longest gap is %s, last failure is %+v", report.LongestGap.Duration(), report.LastFailure)
	}
	if !strings.Contains(report.Timeline(time.Second), " frozen\n") {
		t.Errorf("the mark is not in the timeline:\n%s", report.Timeline(time.Second))
	}
}

func TestInjectedErrorsAreCountedAndNotRetried(t *testing.T) {
	const calls, share = 500, 0.3
	local := serve(t, server.Config{Pod: "a"})
	fault := server.ErrorFault{Share: share, Code: codes.Unavailable, Message: "injected"}
	if err := local.SetErrors(fault, 42); err != nil {
		t.Fatal(err)
	}
	report := begin(t, load.Config{
		Target: local.GRPCAddress, Rate: 1000, Duration: calls * time.Millisecond, Timeout: patient,
	}).Wait()

	const sigmas = 4
	if slack := sigmas * math.Sqrt(calls*share*(1-share)); math.Abs(float64(report.Failed)-calls*share) > slack {
		t.Errorf("%d of %d calls failed, want %g ± %.0f", report.Failed, calls, calls*share, slack)
	}
	if report.Total != calls || report.Attempts != calls {
		t.Errorf("%d calls in %d attempts, want %d in as many", report.Total, report.Attempts, calls)
	}
	// Errors carry who answered, so a canary's errors are the canary's.
	if report.FailedByPod["a"] != report.Failed || report.Unanswered != 0 {
		t.Errorf("failed by pod is %v, unanswered are %d", report.FailedByPod, report.Unanswered)
	}
	if len(report.Failures) != 1 || report.Failures[0] != (load.Failure{Code: codes.Unavailable, Message: "injected", Count: report.Failed}) {
		t.Errorf("failures are %v", report.Failures)
	}
}

func TestRetriesHappenWhenTold(t *testing.T) {
	local := serve(t, server.Config{})
	if err := local.SetErrors(server.ErrorFault{Share: 0.5, Code: codes.Unavailable}, 42); err != nil {
		t.Fatal(err)
	}
	report := begin(t, load.Config{
		Target: local.GRPCAddress, Rate: 500, Duration: 200 * time.Millisecond, Timeout: patient, Retry: true,
		ServiceConfig: `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.001s",
			"maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`,
	}).Wait()
	if report.Total != 100 || report.Attempts <= 100 || !strings.Contains(report.Summary(), "\nretries:") {
		t.Errorf("%d calls in %d attempts:\n%s", report.Total, report.Attempts, report.Summary())
	}
}

func TestStreamsAreCountedWhole(t *testing.T) {
	local := serve(t, server.Config{Pod: "a", Version: "1"})
	report := begin(t, load.Config{
		Target: local.GRPCAddress, Rate: 200, Duration: 250 * time.Millisecond, Timeout: patient,
		Method: load.Stream, Messages: 4, Interval: 2 * time.Millisecond,
	}).Wait()
	assertVerdict(t, report, "failed: 0 of 50")
	if report.ByPod["a"] != 50 || report.ByVersion["1"] != 50 {
		t.Errorf("counts are %v, %v", report.ByPod, report.ByVersion)
	}
}

// oddGreeter streams replies with the given numbers, and keeps the metadata it gets.
type oddGreeter struct {
	greeter.UnimplementedGreeterServer
	sequence []int32
	fails    bool // with Unknown, after the replies

	mu       sync.Mutex
	metadata metadata.MD
}

func (g *oddGreeter) SayHello(ctx context.Context, _ *greeter.HelloRequest) (*greeter.HelloReply, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.metadata, _ = metadata.FromIncomingContext(ctx)
	return &greeter.HelloReply{}, nil
}

func (g *oddGreeter) SayHelloStreamReply(_ *greeter.HelloRequest, stream grpc.ServerStreamingServer[greeter.HelloReply]) error {
	for _, sequence := range g.sequence {
		if err := stream.Send(&greeter.HelloReply{Sequence: sequence, Pod: "odd"}); err != nil {
			return err
		}
	}
	if g.fails {
		return errors.New("odd")
	}
	return nil
}

func serveOdd(t *testing.T, odd *oddGreeter) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	greeter.RegisterGreeterServer(grpcServer, odd)
	go func() { _ = grpcServer.Serve(listener) }()
	t.Cleanup(grpcServer.Stop)
	return listener.Addr().String()
}

func TestStreamsFailUnlessAllMessagesComeInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		odd     *oddGreeter
		code    codes.Code
		message string
	}{
		"too few":      {&oddGreeter{sequence: []int32{1, 2}}, codes.DataLoss, "the stream ended after 2 of 3 messages"},
		"too many":     {&oddGreeter{sequence: []int32{1, 2, 3, 4}}, codes.DataLoss, "the stream went on after 3 messages"},
		"out of order": {&oddGreeter{sequence: []int32{1, 3, 2}}, codes.DataLoss, "message 3 of the stream came as number 2"},
		"cut": {
			&oddGreeter{sequence: []int32{1, 2}, fails: true}, codes.Unknown,
			"odd (after 2 of 3 messages)",
		},
		"complete, but an error": {
			&oddGreeter{sequence: []int32{1, 2, 3}, fails: true}, codes.Unknown,
			"odd (after 3 of 3 messages)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			report := begin(t, load.Config{
				Target: serveOdd(t, test.odd), Rate: 1000, Duration: 5 * time.Millisecond,
				Timeout: patient, Method: load.Stream, Messages: 3,
			}).Wait()
			if report.Failed != 5 || report.FailedByPod["odd"] != 5 {
				t.Fatalf("%d of %d calls failed, %v", report.Failed, report.Total, report.FailedByPod)
			}
			if failure := report.Failures[0]; failure.Code != test.code || failure.Message != test.message {
				t.Errorf("failure is %v, want %s %s", failure, test.code, test.message)
			}
		})
	}
}

func TestMetadataAndAuthorityAreSent(t *testing.T) {
	odd := &oddGreeter{}
	report := begin(t, load.Config{
		Target: serveOdd(t, odd), Rate: 1, Duration: time.Millisecond, Timeout: patient,
		Authority: "greeter.example.com", Metadata: metadata.Pairs("x-canary", "always"),
	}).Wait()
	assertVerdict(t, report, "failed: 0 of 1")
	odd.mu.Lock()
	defer odd.mu.Unlock()
	for name, want := range map[string]string{":authority": "greeter.example.com", "x-canary": "always"} {
		if got := odd.metadata.Get(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
}

func TestLateCallsAreCountedOnce(t *testing.T) {
	local := serve(t, server.Config{Pod: "a"})
	if err := local.SetLatency(server.Constant{Value: 200 * time.Millisecond}, 0); err != nil {
		t.Fatal(err)
	}
	run := begin(t, load.Config{Target: local.GRPCAddress, Rate: 200, Duration: never, Timeout: patient})
	await.Until(t, "calls are in flight", func() bool { return run.Snapshot().InFlight >= 10 })
	report := run.Stop()
	if report.InFlight != 0 || report.Total < 10 || report.Total != report.ByPod["a"] || report.Failed != 0 {
		t.Errorf("%d in flight, %d ended, %d answered, %d failed", report.InFlight, report.Total, report.ByPod["a"], report.Failed)
	}
	if again := run.Stop(); again.Total != report.Total {
		t.Errorf("stopped again, %d calls ended, want %d", again.Total, report.Total)
	}
}

func TestTheContextStopsTheLoadButNotItsCalls(t *testing.T) {
	local := serve(t, server.Config{})
	if err := local.SetLatency(server.Constant{Value: 100 * time.Millisecond}, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run, err := load.Start(ctx, load.Config{Target: local.GRPCAddress, Rate: 200, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "calls are in flight", func() bool { return run.Snapshot().InFlight >= 5 })
	cancel()
	<-run.Done()
	if report := run.Wait(); report.Failed != 0 || report.Total < 5 {
		t.Errorf("%d of %d calls failed", report.Failed, report.Total)
	}
}

func TestLookingAtTheRunMissesNoCall(t *testing.T) {
	local := serve(t, server.Config{Pod: "a"})
	run := begin(t, load.Config{Target: local.GRPCAddress, Rate: 1000, Duration: 100 * time.Millisecond, Timeout: patient})
	sum, seen := 0, 0
	await.Until(t, "all calls are seen", func() bool {
		var bucket load.Bucket
		bucket, seen = run.Recent(seen)
		sum += bucket.ByPod["a"]
		return seen == 100
	})
	if sum != 100 {
		t.Errorf("the looks add up to %d calls, want 100", sum)
	}
}

func TestNobodyListensAndEveryCallFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	_ = listener.Close()
	report := begin(t, load.Config{Target: target, Rate: 500, Duration: 100 * time.Millisecond, Timeout: patient}).Wait()
	assertVerdict(t, report, "failed: 50 of 50")
	if report.ByCode[codes.Unavailable] != 50 || report.Unanswered != 50 {
		t.Errorf("codes are %v, unanswered are %d", report.ByCode, report.Unanswered)
	}
}

func TestARestartedServerIsFoundAgain(t *testing.T) {
	first, second := serve(t, server.Config{Pod: "first"}), serve(t, server.Config{Pod: "second"})
	addresses := manual.NewBuilderWithScheme("test")
	addresses.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: first.GRPCAddress}, {Addr: second.GRPCAddress}}})
	run := begin(t, load.Config{
		Target: "test:///greeter", Rate: 200, Timeout: patient, Connections: 1,
		ServiceConfig: `{"loadBalancingConfig": [{"round_robin": {}}]}`,
		DialOptions:   []grpc.DialOption{grpc.WithResolvers(addresses)},
		Group:         load.GroupByPrefix(map[string]string{"f": "one", "s": "two"}),
	})
	await.Until(t, "both answer", func() bool {
		snapshot := run.Snapshot()
		return snapshot.ByGroup["one"] > 5 && snapshot.ByGroup["two"] > 5
	})
	first.Kill()
	before := run.Snapshot().ByPod["second"]
	await.Until(t, "the second answers all", func() bool { return run.Snapshot().ByPod["second"] > before+20 })
	report := run.Stop()
	if report.FailedByPod["second"] != 0 {
		t.Errorf("the server that stayed failed %d calls", report.FailedByPod["second"])
	}
}

func TestTLSWithACAAndAServerName(t *testing.T) {
	// httptest has a certificate for example.com, signed by itself.
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	local := serve(t, server.Config{TLS: certified.TLS.Clone()})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"example.com": "failed: 0 of 5", "example.org": "failed: 5 of 5"} {
		config, err := load.TLSConfig(ca, name)
		if err != nil {
			t.Fatal(err)
		}
		report := begin(t, load.Config{
			Target: local.GRPCAddress, Rate: 500, Duration: 10 * time.Millisecond, Timeout: patient, TLS: config,
		}).Wait()
		assertVerdict(t, report, want)
	}
	if _, err := load.TLSConfig(filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("a CA file that does not exist was read")
	}
}
