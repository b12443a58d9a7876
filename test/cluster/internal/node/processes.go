package node

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
)

// processes starts children and collects those that have ended. As process 1 it inherits the children of others as well
// (containerd's shims, for one), so it waits for any, which os/exec can't do.
type processes struct {
	mu   sync.Mutex
	ours map[int]chan syscall.WaitStatus
}

// newProcesses begins to collect at once.
func newProcesses() *processes {
	p := &processes{ours: map[int]chan syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1) // one signal may stand for many children, so a full channel loses nothing
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			for p.collectOne() {
			}
		}
	}()
	return p
}

// start starts a command, whose output must be files, and returns a channel that yields how it ended.
func (p *processes) start(cmd *exec.Cmd) (<-chan syscall.WaitStatus, error) {
	p.mu.Lock() // so that it can't be collected before it is known
	defer p.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exit := make(chan syscall.WaitStatus, 1)
	p.ours[cmd.Process.Pid] = exit
	return exit, cmd.Process.Release()
}

func (p *processes) collectOne() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if pid <= 0 || err != nil {
		return err == syscall.EINTR
	}
	if exit, ok := p.ours[pid]; ok {
		exit <- status
		delete(p.ours, pid)
	}
	return true
}

// describe says how a process ended.
func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("signal %d, %s", int(status.Signal()), status.Signal())
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
