package controllers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

type fakeResolver struct {
	answer []string
	err    error
	asked  int
}

func (f *fakeResolver) LookupHost(context.Context, string) ([]string, error) {
	f.asked++
	return f.answer, f.err
}

func TestHostAddresses(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	resolver := &fakeResolver{err: errors.New("no such host")}
	hosts := newHostResolver(resolver, clock, newMetrics())
	step := func(what string, asked int, want ...string) {
		t.Helper()
		if got := hosts.addresses(t.Context(), "example.com"); !slices.Equal(got, want) || resolver.asked != asked {
			t.Errorf("%s: %v after %d look-ups, want %v after %d", what, got, resolver.asked, want, asked)
		}
	}
	later := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }

	step("never resolved", 1)
	step("a failure is not asked about again at once", 1)
	later(hostRefresh)
	resolver.answer, resolver.err = []string{"10.0.0.2", "10.0.0.1", "10.0.0.2"}, nil
	step("sorted, each once", 2, "10.0.0.1", "10.0.0.2")
	later(hostRefresh - time.Second)
	resolver.answer = []string{"10.0.0.3"}
	step("remembered", 2, "10.0.0.1", "10.0.0.2")
	later(time.Second)
	step("asked again", 3, "10.0.0.3")
	later(hostRefresh)
	resolver.answer, resolver.err = nil, errors.New("the DNS server is down")
	step("the last good answer stays", 4, "10.0.0.3")
	later(24 * time.Hour)
	step("for as long as there is no better", 5, "10.0.0.3")
}
