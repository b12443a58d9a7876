package failover

import (
	"slices"
	"strconv"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// The defaults that the API promises.
const (
	defaultMinReadyPercent = 1
	defaultMaxSwitches     = 6
	defaultHealthyFor      = 30 * time.Second
	defaultRampInterval    = 10 * time.Second
)

var defaultRamp = []int32{10, 50, 100}

const (
	// window is the time in which switches count, for the hold and for maxSwitchesPerHour.
	window = time.Hour
	// longestHold is how long the doubling goes on.
	longestHold = 10 * time.Minute
	// falseAlarms is how many false alarms the test on the calls of a backend may give in a window, in the mean.
	falseAlarms = 0.01
)

// settings is spec.failover with its defaults.
type settings struct {
	minReadyPercent int64
	healthyFor      time.Duration
	ramp            []int32
	rampInterval    time.Duration
	maxSwitches     int
	pin             string
	// test is on the error rate of a backend's calls; without a bound there is none.
	test *judge.Absolute
}

func settingsOf(spec *v1alpha1.Failover) settings {
	if spec == nil {
		spec = &v1alpha1.Failover{}
	}
	recovery := ptr.Deref(spec.Recovery, v1alpha1.Recovery{})
	out := settings{
		minReadyPercent: int64(ptr.Deref(spec.MinReadyPercent, defaultMinReadyPercent)),
		healthyFor:      duration(recovery.HealthyFor, defaultHealthyFor),
		ramp:            recovery.Ramp,
		rampInterval:    duration(recovery.RampInterval, defaultRampInterval),
		maxSwitches:     int(ptr.Deref(spec.MaxSwitchesPerHour, defaultMaxSwitches)),
		pin:             spec.Pin,
	}
	if len(out.ramp) == 0 {
		out.ramp = defaultRamp
	}
	if spec.Errors != nil {
		// The API admits nothing that cannot be parsed; a bound of zero would ask nothing.
		percent, _ := strconv.ParseFloat(spec.Errors.MaxPercent, 64)
		out.test = &judge.Absolute{Bound: percent / 100, Alpha: falseAlarms, Horizon: window}
	}
	return out
}

func duration(value *v1alpha1.LongDuration, byDefault time.Duration) time.Duration {
	parsed, err := time.ParseDuration(string(ptr.Deref(value, "")))
	if err != nil || parsed <= 0 {
		return byDefault
	}
	return parsed
}

// hold is how long a backend that was down must have been healthy to be up again:
//
//	healthyFor * 2^switches, at most ten minutes (or healthyFor, if somebody wants it longer)
func (s settings) hold(switches int) time.Duration {
	hold, longest := s.healthyFor, max(longestHold, s.healthyFor)
	for ; switches > 0 && hold < longest; switches-- {
		hold *= 2
	}
	return min(hold, longest)
}

// stepAfter is the share, in percent, that follows the given one on the ramp. After the last step everything is handed back.
func (s settings) stepAfter(percent int32) int32 {
	i := slices.IndexFunc(s.ramp, func(step int32) bool { return step > percent })
	if i < 0 {
		return 100
	}
	return min(s.ramp[i], 100)
}
