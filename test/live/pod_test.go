package live

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/headgate/headgate/test/grpcapp/server"
)

// podVariable makes the test binary a pod of the sample application, by the name that it holds.
const podVariable = "HEADGATE_TEST_POD"

func TestMain(m *testing.M) {
	if name := os.Getenv(podVariable); name != "" {
		if err := servePod(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// servePod serves on the listeners that the test has opened, until SIGTERM.
func servePod(name string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var listeners [2]net.Listener
	for i := range listeners {
		const firstExtraFile = 3
		listener, err := net.FileListener(os.NewFile(uintptr(firstExtraFile+i), "listener"))
		if err != nil {
			return err
		}
		listeners[i] = listener
	}
	return server.New(server.Config{Pod: name}).Serve(ctx, listeners[0], listeners[1])
}

// pod is a process that serves the sample application on loopback.
type pod struct {
	t       testing.TB
	name    string
	address netip.AddrPort
	control string
	process *os.Process
	// gone is closed when the process has ended.
	gone chan struct{}
	// unready and terminating are what Kubernetes says of it.
	unready, terminating bool
}

func startPod(t testing.TB, name string) *pod {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	command.Env = append(os.Environ(), podVariable+"="+name)
	command.Stderr = os.Stderr
	// It must not outlive a test binary that is killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var addresses [2]netip.AddrPort
	for i := range addresses {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses[i] = netip.MustParseAddrPort(listener.Addr().String())
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		command.ExtraFiles = append(command.ExtraFiles, file)
		_ = listener.Close()
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for _, file := range command.ExtraFiles {
		_ = file.Close()
	}
	p := &pod{
		t: t, name: name, address: addresses[0], control: "http://" + addresses[1].String() + "/control/",
		process: command.Process, gone: make(chan struct{}),
	}
	go func() {
		defer close(p.gone)
		_ = command.Wait() // killed on purpose
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.gone
	})
	return p
}

// signal sends a signal; nothing happens to a process that has ended.
func (p *pod) signal(s syscall.Signal) { _ = p.process.Signal(s) }

// order sends an order, such as "not-ready", to the pod's control endpoint.
func (p *pod) order(order string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.control+order, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("order %s to %s: %s", order, p.name, response.Status)
	}
}
