// Package child runs programs that end when this process does, even if it is killed.
package child

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
)

// CombinedOutput is that of os/exec, but the kernel kills the program if this process dies: a later run of this one must not meet it.
// When the command's context ends, the program is interrupted, and may clean up.
func CombinedOutput(cmd *exec.Cmd) ([]byte, error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := Run(cmd)
	return output.Bytes(), err
}

// Run is that of os/exec, with the same changes.
func Run(cmd *exec.Cmd) error {
	// To the kernel the parent is the thread that starts the program, and a thread may end early: netns.Do throws its threads away.
	// A locked one belongs to this function until it returns.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if cmd.Cancel != nil { // it has a context
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	}
	return cmd.Run()
}
