package server

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func draws(f *faults, n int) (failed []bool) {
	for range n {
		failed = append(failed, f.draw().err != nil)
	}
	return failed
}

func TestTheSameSeedFailsTheSameCalls(t *testing.T) {
	const calls, seed = 200, 7
	fault := ErrorFault{Share: 0.3, Code: codes.Unavailable, Placement: TrailersOnly}
	first := newFaults(seed)
	first.setErrors(fault, 0)
	want := draws(first, calls)

	t.Run("in another server, whatever latency it adds", func(t *testing.T) {
		second := newFaults(seed)
		second.setErrors(fault, 0)
		second.setLatency(Uniform{Max: time.Second}, 0)
		assertEqual(t, draws(second, calls), want)
	})
	t.Run("again after the seed is given again", func(t *testing.T) {
		first.setErrors(fault, seed)
		assertEqual(t, draws(first, calls), want)
	})
}

func assertEqual(t *testing.T, got, want []bool) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("call %d: failed is %t, want %t", i, got[i], want[i])
		}
	}
}
