package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil(t *testing.T) {
	notYet, broken := errors.New("not yet"), errors.New("broken")
	for name, test := range map[string]struct {
		attempt func(n int) error
		calls   int
		want    []error
	}{
		"the third attempt succeeds": {
			attempt: func(n int) error {
				if n == 3 {
					return nil
				}
				return notYet
			},
			calls: 3,
		},
		"waiting longer is no use": {attempt: func(int) error { return Stop(broken) }, calls: 1, want: []error{broken}},
		"the time is over":         {attempt: func(int) error { return notYet }, calls: 10, want: []error{notYet, context.DeadlineExceeded}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second+time.Millisecond)
				defer cancel()
				calls := 0
				err := Until(ctx, time.Second, func(context.Context) error {
					calls++
					return test.attempt(calls)
				})
				if calls != test.calls {
					t.Errorf("%d attempts, want %d", calls, test.calls)
				}
				if (err != nil) != (len(test.want) > 0) {
					t.Errorf("got error %v", err)
				}
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("got error %v, want %v", err, want)
					}
				}
			})
		})
	}
}
