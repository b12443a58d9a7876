// Package filelock is a lock between processes that the kernel releases when its holder dies, however it dies.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// Lock is held until Release, and by any process that inherited File until that closes it too.
type Lock struct{ File *os.File }

// errHeld says that another process holds the lock.
var errHeld = errors.New("held by another run of this program")

// Acquire waits for the lock at path. onWait, if given, is called once when the lock is not free.
func Acquire(ctx context.Context, path string, onWait func()) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	// Polled, because flock cannot be cancelled while it waits.
	err = wait.Until(ctx, 50*time.Millisecond, func(context.Context) error {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			if onWait != nil {
				onWait()
				onWait = nil
			}
			return errHeld
		case err != nil:
			return wait.Stop(err)
		}
		return nil
	})
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{File: file}, nil
}

// Release gives this process's hold of the lock up.
func (l *Lock) Release() { l.File.Close() }
