package failover

import (
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestHoldDoublesWithEachSwitchUpToTenMinutes(t *testing.T) {
	for name, c := range map[string]struct {
		healthyFor v1alpha1.LongDuration
		switches   int
		want       time.Duration
	}{
		"no switch":                              {"30s", 0, 30 * time.Second},
		"one switch":                             {"30s", 1, time.Minute},
		"two switches":                           {"30s", 2, 2 * time.Minute},
		"four switches":                          {"30s", 4, 8 * time.Minute},
		"five switches: capped":                  {"30s", 5, 10 * time.Minute},
		"more switches than a duration has bits": {"1s", 64, 10 * time.Minute},
		"longer than the cap without a switch":   {"1h", 0, time.Hour},
		"longer than the cap is not doubled":     {"1h", 3, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(&v1alpha1.Failover{Recovery: &v1alpha1.Recovery{HealthyFor: &c.healthyFor}})
			if got := s.hold(c.switches); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestRampRisesToEverything(t *testing.T) {
	for name, c := range map[string]struct {
		ramp []int32
		want []int32
	}{
		"the default":                        {nil, []int32{10, 50, 100}},
		"everything at once":                 {[]int32{100}, []int32{100}},
		"after the last step comes the rest": {[]int32{5, 25}, []int32{5, 25, 100}},
		"never more than everything":         {[]int32{50, 200}, []int32{50, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(&v1alpha1.Failover{Recovery: &v1alpha1.Recovery{Ramp: c.ramp}})
			percent := int32(0)
			for i, want := range c.want {
				if percent = s.stepAfter(percent); percent != want {
					t.Errorf("step %d is %d, want %d", i, percent, want)
				}
			}
		})
	}
}

func TestSettingsHaveTheDefaultsOfTheAPI(t *testing.T) {
	s := settingsOf(nil)
	if s.minReadyPercent != 1 || s.maxSwitches != 6 || s.healthyFor != 30*time.Second || s.rampInterval != 10*time.Second || s.test != nil {
		t.Errorf("defaults: %+v", s)
	}
	bad := v1alpha1.LongDuration("soon")
	if got := settingsOf(&v1alpha1.Failover{Recovery: &v1alpha1.Recovery{HealthyFor: &bad}}).healthyFor; got != 30*time.Second {
		t.Errorf("a duration that is none is %s", got)
	}
	if got := settingsOf(&v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "0.5"}}).test.Bound; got != 0.005 {
		t.Errorf("0.5 percent is %v", got)
	}
}
