package server

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// burn keeps a processor busy until this much of its time has gone to the caller. Time in which others had the processor does not count,
// so that a call costs the same on a busy machine: it takes longer, and an autoscaler sees no more of it.
func burn(work time.Duration) error {
	if work <= 0 {
		return nil
	}
	// The clock is that of the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, err := processorTime()
	if err != nil {
		return err
	}
	for {
		now, err := processorTime()
		if err != nil || now-began >= work {
			return err
		}
		for range spins {
			// Between two looks at the clock, each of which is a call of the kernel.
			runtime.KeepAlive(now)
		}
	}
}

// spins take some microseconds.
const spins = 10_000

// processorTime is what the thread has had of the processors.
func processorTime() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		return 0, err
	}
	return time.Duration(now.Nano()), nil
}
