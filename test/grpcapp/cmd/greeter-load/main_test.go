package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/headgate/headgate/test/grpcapp/server"
)

func serve(t *testing.T) *server.Local {
	t.Helper()
	local, err := server.StartLocal(server.Config{Pod: "greeter-7bd9c6f6d4-2n4qb", Version: "1", StopAtOnce: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Stop() })
	return local
}

func runWith(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	exit = run(t.Context(), args, &out, &errors)
	return exit, out.String(), errors.String()
}

func TestTheTextReportEndsWithTheVerdict(t *testing.T) {
	exit, stdout, stderr := runWith(t, "-target", serve(t).GRPCAddress, "-rate=200", "-duration=100ms",
		"-timeout=10s", "-group=deployment", "-max-failed=0", "-header=x-a=b", "-live")
	if exit != 0 || !strings.HasSuffix(stdout, "\nfailed: 0 of 20\n") {
		t.Errorf("exit code %d\n%s%s", exit, stdout, stderr)
	}
	if !strings.Contains(stdout, "greeter █") {
		t.Errorf("the timeline has no column for the Deployment:\n%s", stdout)
	}
}

func TestTheJSONReportCounts(t *testing.T) {
	exit, stdout, stderr := runWith(t, "-target", serve(t).GRPCAddress, "-rate=200", "-duration=100ms",
		"-timeout=10s", "-method=stream", "-messages=3", "-json", "-group=greeter-=shop")
	var report struct {
		Total, Failed int
		ByCode        map[string]int
		ByGroup       map[string]int
		Timeline      []struct{ Calls int }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || exit != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	if report.Total != 20 || report.Failed != 0 || report.ByCode["OK"] != 20 || report.ByGroup["shop"] != 20 ||
		len(report.Timeline) != 1 || report.Timeline[0].Calls != 20 {
		t.Errorf("report is %+v", report)
	}
}

func TestFailedCallsDecideTheExitCode(t *testing.T) {
	local := serve(t)
	if err := local.SetErrors(server.ErrorFault{Share: 1, Code: codes.Internal}, 0); err != nil {
		t.Fatal(err)
	}
	for maxFailed, want := range map[string]int{"-1": 0, "0": 1, "4": 1, "5": 0} {
		exit, stdout, _ := runWith(t, "-target", local.GRPCAddress, "-rate=500", "-duration=10ms",
			"-timeout=10s", "-timeline=0", "-max-failed="+maxFailed)
		if exit != want {
			t.Errorf("-max-failed=%s: exit code is %d, want %d\n%s", maxFailed, exit, want, stdout)
		}
	}
}

func TestAnInterruptEndsTheRunWithAReport(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var stdout bytes.Buffer
	if exit := run(ctx, []string{"-target", serve(t).GRPCAddress}, &stdout, &stdout); exit != 0 {
		t.Errorf("exit code is %d", exit)
	}
	if !strings.Contains(stdout.String(), "\nfailed: 0 of ") {
		t.Errorf("output is %s", stdout.String())
	}
}

func TestMistakesInFlagsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		`argument "now" is not known`:             {"now"},
		`-method is "bidi": give unary or stream`: {"-method=bidi"},
		"rate is 0":                                 {"-rate=0"},
		"mean nothing without -tls":                 {"-tls-insecure"},
		"read the CA certificates":                  {"-tls", "-tls-ca=none.pem"},
		"give name=value":                           {"-header=x"},
		"give deployment or prefix=group":           {"-group=replicaset"},
		"flag provided but not defined: -duration_": {"-duration_=1s"},
	} {
		exit, _, stderr := runWith(t, args...)
		if exit != exitNoStart || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, want %d and %q in\n%s", args, exit, exitNoStart, want, stderr)
		}
	}
}
