package calls

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/signals"
)

// Somebody is woken when another delay is to be decided, and not at each look.
func TestWhoeverDecidesDelaysIsWokenByNews(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
	l := NewLatencies(Config{Clock: clock})
	key := types.NamespacedName{Namespace: "shop", Name: "greeter"}
	var status *v1alpha1.HedgingStatus
	look := func(inFlight uint64) bool {
		start := clock.Now()
		clock.Step(time.Second)
		return l.hear(key, signals.Work{Known: true, Started: 100, InFlight: inFlight, Start: start, End: clock.Now()})
	}
	decide := func() { status = l.Decide(key, status) }
	if l.hear(key, signals.Work{}) || l.Decide(key, nil) != nil {
		t.Error("decided by nothing")
	}
	for i, want := range []bool{false, false, true} {
		if got := look(1); got != want {
			t.Errorf("look %d: news %v", i, got)
		}
	}
	decide()
	if hedging.Delay(status) != 900*time.Millisecond {
		t.Fatalf("%+v", status)
	}
	for range 2 {
		if look(1) {
			t.Error("woken although nothing is new")
		}
	}
	for !look(100) {
		if clock.Since(status.Time.Time) > 10*time.Second {
			t.Fatal("calls of a second change nothing")
		}
	}
	decide()
	if hedging.Delay(status) < 2*time.Second {
		t.Errorf("%+v", status)
	}
	// The next leader goes on from the status.
	next := NewLatencies(Config{Clock: clock})
	if next.Decide(key, status) != status {
		t.Error("another leader knows nothing, and decides")
	}
	l.Forget(key)
	if len(l.estimates) > 0 {
		t.Error("it is remembered")
	}
}

func TestWhoseCallsAreLookedAtForTheirLatency(t *testing.T) {
	exs := func(retry *v1alpha1.Retry) *v1alpha1.ExposedService {
		return &v1alpha1.ExposedService{Spec: v1alpha1.ExposedServiceSpec{
			Gateway: &v1alpha1.Gateway{}, Traffic: &v1alpha1.Traffic{Retry: retry},
		}}
	}
	for name, c := range map[string]struct {
		exs  *v1alpha1.ExposedService
		want bool
	}{
		"no settings":       {&v1alpha1.ExposedService{}, false},
		"no retries":        {exs(nil), false},
		"once":              {exs(&v1alpha1.Retry{}), false},
		"twice":             {exs(&v1alpha1.Retry{Idempotent: ptr.To(true)}), true},
		"somebody's choice": {exs(&v1alpha1.Retry{Idempotent: ptr.To(true), PerTryTimeout: ptr.To(v1alpha1.Duration("1s"))}), false},
	} {
		if got := HedgedSource(c.exs) != nil; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
