package resource

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
)

// The defaults are those of gateway/policy.go, which were measured to lose no call; docs/design.md has what
// each is worth.
const (
	defaultConnectTimeout = 250 * time.Millisecond
	defaultCheckInterval  = 250 * time.Millisecond
	defaultCheckTimeout   = 350 * time.Millisecond
	// edgeInterval is how soon after a failed check the next one follows that may take the endpoint out, so that an endpoint that
	// freezes is left within a second, and one that pauses for half a second is not.
	edgeInterval            = 50 * time.Millisecond
	defaultOutlierInterval  = 3 * time.Second
	defaultBaseEjectionTime = 30 * time.Second
	// longestEjection is the longest ejection however often an endpoint was ejected, unless the first is longer.
	longestEjection = 300 * time.Second
)

// traffic are the durations of spec.traffic, with their defaults.
type traffic struct {
	// requestTimeout is 0 for no bound.
	requestTimeout time.Duration
	connectTimeout time.Duration
	// perTryTimeout is 0 for no bound.
	perTryTimeout                     time.Duration
	checkInterval, checkTimeout       time.Duration
	outlierInterval, baseEjectionTime time.Duration
	// slowStart is 0 for none.
	slowStart time.Duration
}

// readTraffic reads what is asked for, and says which of it cannot be done. Where the spec
// does not say when an attempt that is silent gets a second one beside it, and how often endpoints are checked, the status does.
func readTraffic(exs *v1alpha1.ExposedService) (traffic, []Problem) {
	spec, interval := exs.Spec.Traffic, defaultCheckInterval
	if decided := exs.Status.CheckInterval; decided != nil {
		interval = decided.Duration
	}
	var r durationReader
	var given v1alpha1.Traffic
	if spec != nil {
		given = *spec
	}
	out := traffic{
		requestTimeout:   r.read("requestTimeout", given.RequestTimeout, 0, orZero),
		connectTimeout:   r.read("connectTimeout", given.ConnectTimeout, defaultConnectTimeout, aboveZero),
		checkInterval:    interval,
		checkTimeout:     defaultCheckTimeout,
		outlierInterval:  defaultOutlierInterval,
		baseEjectionTime: defaultBaseEjectionTime,
	}
	if retry := given.Retry; hedging.MayRunTwice(spec) {
		out.perTryTimeout = r.read("retry.perTryTimeout", retry.PerTryTimeout, hedging.Delay(exs.Status.Hedging), orZero)
	}
	if check := given.HealthCheck; check != nil {
		out.checkInterval = r.read("healthCheck.interval", check.Interval, interval, aboveZero)
		out.checkTimeout = r.read("healthCheck.timeout", check.Timeout, defaultCheckTimeout, aboveZero)
	}
	if outlier := given.OutlierDetection; outlier != nil {
		out.outlierInterval = r.read("outlierDetection.interval", outlier.Interval, defaultOutlierInterval, aboveZero)
		out.baseEjectionTime = r.read("outlierDetection.baseEjectionTime", outlier.BaseEjectionTime, defaultBaseEjectionTime, aboveZero)
	}
	if balancer := given.LoadBalancer; balancer != nil {
		out.slowStart = r.read("loadBalancer.slowStart", balancer.SlowStart, 0, orZero)
	}
	return out, r.problems
}

// least is the shortest duration that a field can have.
type least string

const (
	// orZero: zero has a meaning.
	orZero least = "0s"
	// aboveZero: Envoy refuses zero.
	aboveZero least = "1ms"
)

type durationReader struct{ problems []Problem }

// read reads a duration of spec.traffic. The CRD has refused what is none; zero is where the CRD and Envoy disagree.
func (r *durationReader) read(field string, value *v1alpha1.Duration, otherwise time.Duration, least least) time.Duration {
	if value == nil {
		return otherwise
	}
	d, err := time.ParseDuration(string(*value))
	if err != nil || d < 0 || d == 0 && least == aboveZero {
		r.problems = append(r.problems, Problem{Reason: v1alpha1.ReasonNotAccepted, Message: fmt.Sprintf(
			"spec.traffic.%s: %q is no duration of %s or more: set one such as 250ms, or remove the field for the default", field, *value, least)})
		return otherwise
	}
	return d
}
