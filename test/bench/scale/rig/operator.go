package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopTime is how long the operator may take to end: its own limit is 20 s.
const stopTime = 30 * time.Second

// Operator is a running headgate process.
type Operator struct {
	// Began is when the process was started.
	Began time.Time

	command *exec.Cmd
	// metrics and probes are addresses.
	metrics, probes string
	ended           chan struct{}
	// err is what it ended with, once it has.
	err error
}

// Start is how an operator is started.
type Start struct {
	// Binary and Kubeconfig are files, and so is Log, to which its log is added.
	Binary, Kubeconfig, Log string
	// Args are flags beside those that every revision has, and Env is added to the environment.
	Args, Env []string
}

// StartOperator starts one. It ends with the context, if Stop has not ended it before.
func StartOperator(ctx context.Context, start Start) (*Operator, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(start.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	o := &Operator{metrics: addresses[0], probes: addresses[1], ended: make(chan struct{})}
	o.command = exec.CommandContext(ctx, start.Binary, append([]string{
		"--metrics-bind-address=" + o.metrics, "--metrics-secure=false", "--health-probe-bind-address=" + o.probes,
	}, start.Args...)...)
	o.command.Env = append(append(os.Environ(), "KUBECONFIG="+start.Kubeconfig), start.Env...)
	o.command.Stdout, o.command.Stderr = log, log
	o.command.Cancel = func() error { return o.command.Process.Signal(syscall.SIGTERM) }
	o.command.WaitDelay = stopTime
	o.Began = time.Now()
	if err := o.command.Start(); err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	go func() {
		o.err = o.command.Wait()
		close(o.ended)
	}()
	return o, nil
}

// freeAddresses are loopback addresses that nobody listens on.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// UntilReady waits until the operator's caches are full.
func (o *Operator) UntilReady(ctx context.Context) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		body, err := o.get(ctx, o.probes, "/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the operator does not become ready: %w (%w; %s)", context.Cause(ctx), err, strings.TrimSpace(body))
		case <-o.ended:
			return fmt.Errorf("the operator has ended: %w", o.err)
		case <-ticker.C:
		}
	}
}

// Stop ends the operator as a rolling update does, and waits until it has ended.
func (o *Operator) Stop() error {
	if err := o.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the operator: %w", err)
	}
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-o.ended:
	case <-late.C:
		if err := o.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill the operator: %w", err)
		}
		<-o.ended
	}
	return nil
}

// get reads a page of the operator's own.
func (o *Operator) get(ctx context.Context, address, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	return read(http.DefaultClient, request)
}
