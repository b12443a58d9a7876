package load

import (
	"strings"
	"testing"
	"time"
)

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	for want, cfg := range map[string]Config{
		"target is empty":     {Rate: 1},
		"rate is 0":           {Target: "a"},
		"duration is -1s":     {Target: "a", Rate: 1, Duration: -time.Second},
		`method is "SayBye"`:  {Target: "a", Rate: 1, Method: "SayBye"},
		"messages is -1":      {Target: "a", Rate: 1, Messages: -1},
		"timeout is -1s":      {Target: "a", Rate: 1, Timeout: -time.Second},
		"connections is -1":   {Target: "a", Rate: 1, Connections: -1},
		"max in flight is -1": {Target: "a", Rate: 1, MaxInFlight: -1},
		"timeout is 1s but a stream takes at least 2s": {
			Target: "a", Rate: 1, Method: Stream, Messages: 3, Interval: time.Second, Timeout: time.Second,
		},
	} {
		_, err := Start(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func TestAnUnusableServiceConfigIsAnError(t *testing.T) {
	if _, err := Start(t.Context(), Config{Target: "a", Rate: 1, ServiceConfig: "{"}); err == nil {
		t.Error("the run started")
	}
}

func TestTheNumberOfCallsIsRateTimesDuration(t *testing.T) {
	for _, test := range []struct {
		rate     float64
		duration time.Duration
		want     int
	}{
		{200, 2 * time.Second, 400},
		{0.1, 30 * time.Second, 3},
		{1000, 333 * time.Millisecond, 333},
		{3, 500 * time.Millisecond, 2}, // due at 0 and at 1/3 s
		{10, 0, 0},
	} {
		if got := (Config{Rate: test.rate, Duration: test.duration}).calls(); got != test.want {
			t.Errorf("%g/s for %s: %d calls, want %d", test.rate, test.duration, got, test.want)
		}
	}
}

func TestStreamsGetTheirTimeOnTopOfTheTimeout(t *testing.T) {
	cfg := Config{Method: Stream, Messages: 3, Interval: time.Second}.withDefaults()
	if want := defaultTimeout + 2*time.Second; cfg.Timeout != want {
		t.Errorf("timeout is %s, want %s", cfg.Timeout, want)
	}
}
