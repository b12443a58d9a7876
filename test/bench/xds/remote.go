package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// remote is a server in a process of its own.
type remote struct {
	address string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func startRemote(kind kind, services int, dir string) *remote {
	r := &remote{command: exec.Command(os.Args[0], "-serve", kind.name, "-services", fmt.Sprint(services), "-certificates", dir)} //nolint:gosec,noctx // itself
	r.command.Stderr = os.Stderr
	var err error
	r.in, err = r.command.StdinPipe()
	must(err)
	out, err := r.command.StdoutPipe()
	must(err)
	r.out = bufio.NewReader(out)
	must(r.command.Start())
	r.address = r.line()
	return r
}

func (r *remote) line() string {
	text, err := r.out.ReadString('\n')
	must(err)
	return strings.TrimSpace(text)
}

func (r *remote) say(format string, args ...any) string {
	_, err := fmt.Fprintf(r.in, format+"\n", args...)
	must(err)
	return r.line()
}

func (r *remote) change(service, revision int) { r.say("change %d %d", service, revision) }

// use is what a process has used and uses.
type use struct {
	cpu            time.Duration
	resident, heap int64
}

func (r *remote) usage() (u use) {
	_, err := fmt.Sscan(r.say("usage"), &u.cpu, &u.resident, &u.heap)
	must(err)
	return u
}

func (r *remote) end() {
	_ = r.in.Close()
	_ = r.command.Wait()
}
