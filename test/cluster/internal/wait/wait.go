// Package wait waits for conditions: it asks again and again until a deadline, and then says what was still missing.
package wait

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Until calls attempt every interval until it returns nil or an error made by Stop, or ctx ends.
// When ctx ends, the error tells what the last attempt said.
func Until(ctx context.Context, interval time.Duration, attempt func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if stop, ok := errors.AsType[stopError](err); ok {
			return stop.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

type stopError struct{ error }

// Stop marks an error as one that waiting longer will not cure.
func Stop(err error) error { return stopError{err} }
