package apiserver

import (
	"context"
	"time"
)

// Patience is how long a test waits for what should take a moment, on a machine with other things to do.
const Patience = time.Minute

// Poll asks again and again until there is no error, and returns the last one when the time is up.
func Poll(ctx context.Context, within time.Duration, f func() error) error {
	return PollEvery(ctx, 20*time.Millisecond, within, f)
}

// PollEvery is Poll, with so long from one question to the next.
func PollEvery(ctx context.Context, every, within time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}
