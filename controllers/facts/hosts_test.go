package facts

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/queue/queuetest"
)

type fakeResolver struct {
	answer []string
	err    error
	asked  int
	names  []string
}

func (f *fakeResolver) LookupHost(_ context.Context, name string) ([]string, error) {
	f.asked++
	if !slices.Contains(f.names, name) {
		f.names = append(f.names, name)
	}
	return f.answer, f.err
}

func TestHostAddresses(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(0, 0))
	resolver := &fakeResolver{err: errors.New("no such host")}
	var inside map[string]string
	hosts := NewHosts(resolver, HostPolicy{Owner: ownedBy(&inside)}, clock, metrics.New())
	untilTimed := queuetest.Timers(clock)
	greeter := user{&queue.WakeUps{}, types.NamespacedName{Namespace: "shop", Name: "greeter"}}
	expect := func(what string, awaited bool, want ...string) {
		t.Helper()
		if got := hosts.Answer("example.com"); !slices.Equal(got.Addresses, want) || got.Awaited != awaited {
			t.Errorf("%s: %+v, want %v, %t", what, got, want, awaited)
		}
	}
	// lookUp lets time pass until the host is looked up again, and no sooner.
	lookUp := func(after time.Duration) {
		t.Helper()
		if after > 0 {
			untilTimed()
		}
		clock.Step(after)
		queue.Next(t.Context(), hosts.queue, hosts.lookUp)
	}

	hosts.follow(greeter, []string{"example.com"})
	expect("nobody has looked yet", true)
	lookUp(0)
	expect("it cannot be resolved", false)
	resolver.answer, resolver.err = []string{"10.0.0.2", "10.0.0.1", "10.0.0.2"}, nil
	lookUp(firstHostRetry)
	expect("sorted, each once", false, "10.0.0.1", "10.0.0.2")
	resolver.answer = []string{"10.0.0.3"}
	lookUp(HostRefresh)
	expect("another answer", false, "10.0.0.3")
	resolver.answer, resolver.err = nil, errors.New("the DNS server is down")
	lookUp(HostRefresh)
	expect("the last good answer stays", false, "10.0.0.3")
	lookUp(HostRefresh)
	expect("for as long as there is no better", false, "10.0.0.3")
	inside = map[string]string{"10.0.0.4": "a Service", "10.0.0.3": "a Pod"}
	resolver.answer, resolver.err = []string{"10.0.0.4", "10.0.0.5"}, nil
	lookUp(HostRefresh)
	expect("an address that is the cluster's own is left out", false, "10.0.0.5")
	resolver.answer = []string{"10.0.0.3"}
	lookUp(HostRefresh)
	expect("also one that was right before", false)
	if got := hosts.Answer("example.com").Refused; got != "host example.com resolves to 10.0.0.3, the address of a Pod of the cluster" {
		t.Errorf("it is said: %q", got)
	}
	resolver.err = errors.New("the DNS server is down")
	lookUp(HostRefresh)
	expect("and does not come back", false)
	resolver.err, inside = nil, nil
	lookUp(firstHostRetry)
	expect("until it is nobody's", false, "10.0.0.3")
	if !slices.Equal(resolver.names, []string{"example.com."}) {
		t.Errorf("asked for %v: a search domain may come into it", resolver.names)
	}
	if resolver.asked != 9 {
		t.Errorf("%d look-ups", resolver.asked)
	}
	if told := hosts.note("example.com", nil, "", resolver.err); len(told) != 0 {
		t.Error("a failure that changes nothing is news")
	}
	if told := hosts.note("example.com", []string{"10.0.0.9"}, "", nil); !slices.Equal(told, []user{greeter}) {
		t.Errorf("told %v of another address", told)
	}
	hosts.follow(greeter, nil)
	expect("nobody follows it", true)
	if len(hosts.known)+len(hosts.followed) != 0 {
		t.Error("it is not forgotten")
	}
}
