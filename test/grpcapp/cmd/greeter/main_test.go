package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/headgate/headgate/test/grpcapp/internal/await"
	"github.com/headgate/headgate/test/grpcapp/load"
)

// asGreeter makes the test binary run as the command under test.
const asGreeter = "RUN_AS_GREETER"

func TestMain(m *testing.M) {
	if os.Getenv(asGreeter) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is the command under test, and load on it.
type process struct {
	*exec.Cmd
	httpAddress string
	run         *load.Run
}

var servingLine = regexp.MustCompile(`grpc=(\S+) http=(\S+)`)

// patient is a deadline that no healthy call misses, however busy the machine is.
const patient = 10 * time.Second

// startUnderLoad returns when calls succeed.
func startUnderLoad(t *testing.T, timeout time.Duration, args ...string) *process {
	t.Helper()
	args = append(args, "-grpc-address=127.0.0.1:0", "-http-address=127.0.0.1:0")
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), asGreeter+"=1", "POD_NAME=greeter-a", "VERSION=7")
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	lines := bufio.NewScanner(output)
	var addresses []string
	for addresses == nil && lines.Scan() {
		addresses = servingLine.FindStringSubmatch(lines.Text())
	}
	if addresses == nil {
		t.Fatal("the command did not say where it serves")
	}

	run, err := load.Start(t.Context(), load.Config{Target: addresses[1], Rate: 200, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Stop() })
	await.Until(t, "calls succeed", func() bool { return run.Snapshot().ByCode[codes.OK] > 10 })
	return &process{Cmd: command, httpAddress: addresses[2], run: run}
}

func TestAnswersCarryTheEnvironment(t *testing.T) {
	report := startUnderLoad(t, patient).run.Stop()
	if report.ByPod["greeter-a"] != report.Total || report.ByVersion["7"] != report.Total {
		t.Errorf("of %d calls, by pod %v, by version %v", report.Total, report.ByPod, report.ByVersion)
	}
}

func TestCrashEndsTheProcess(t *testing.T) {
	greeter := startUnderLoad(t, patient)
	response, err := http.Post("http://"+greeter.httpAddress+"/control/crash?exit=3", "", nil)
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("the crash answered %s", response.Status)
	}
	var exit *exec.ExitError
	if err := greeter.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("the process ended with %v, want exit code 3", err)
	}
	await.Until(t, "calls fail", func() bool { return greeter.run.Snapshot().ByCode[codes.Unavailable] > 10 })
}

func TestAStoppedProcessMissesDeadlinesUntilItContinues(t *testing.T) {
	greeter := startUnderLoad(t, 200*time.Millisecond)
	if err := greeter.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "calls miss their deadlines", func() bool {
		return greeter.run.Snapshot().ByCode[codes.DeadlineExceeded] > 10
	})
	if err := greeter.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	before := greeter.run.Snapshot().ByCode[codes.OK]
	await.Until(t, "calls succeed again", func() bool { return greeter.run.Snapshot().ByCode[codes.OK] > before+10 })
}

func TestSIGTERMDrains(t *testing.T) {
	greeter := startUnderLoad(t, patient, "-drain-delay=10ms", "-grace-timeout=5s")
	if err := greeter.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := greeter.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	// What failed was refused after the end; nothing hung.
	report := greeter.run.Stop()
	if report.Failed != report.ByCode[codes.Unavailable] {
		t.Errorf("codes are %v", report.ByCode)
	}
}

func TestMistakesInFlagsAreNamed(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"-tls-cert=none.pem"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		command := exec.CommandContext(ctx, os.Args[0], args...)
		command.Env = append(os.Environ(), asGreeter+"=1")
		if err := command.Run(); err == nil || command.ProcessState.ExitCode() != 1 {
			t.Errorf("%v: the process ended with %v, want exit code 1", args, err)
		}
		cancel()
	}
}
