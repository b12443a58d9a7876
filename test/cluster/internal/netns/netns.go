// Package netns does things inside another process's network namespace.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Enter moves the calling goroutine's thread into the network namespace of a process, and ties the goroutine to that thread.
// A program that the goroutine then becomes with exec is in the namespace as a whole.
func Enter(pid int) error {
	runtime.LockOSThread()
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace of process %d: %w", pid, err)
	}
	return nil
}

// Do runs a function in the network namespace of a process. What the function opens stays in that namespace;
// goroutines that it starts do not.
func Do(pid int, run func() error) error {
	result := make(chan error)
	go func() {
		// The goroutine ends still tied to its thread, so that the runtime throws the thread away.
		if err := Enter(pid); err != nil {
			result <- err
			return
		}
		result <- run()
	}()
	return <-result
}
