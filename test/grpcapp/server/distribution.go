package server

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Distribution says how added latencies are spread.
type Distribution interface {
	fmt.Stringer
	// Sample draws one latency, never negative.
	Sample(source *rand.Rand) time.Duration
	// validate says what is wrong in terms of the control endpoint's parameters.
	validate() error
}

// Constant adds the same latency to each call.
type Constant struct{ Value time.Duration }

// Uniform draws from [Min, Max].
type Uniform struct{ Min, Max time.Duration }

// Normal draws from a normal distribution; what falls below 0 becomes 0.
type Normal struct{ Mean, StdDev time.Duration }

// LogNormal draws from a log-normal distribution with this mean and standard
// deviation of the latency itself, not of its logarithm.
type LogNormal struct{ Mean, StdDev time.Duration }

// Sample implements Distribution.
func (d Constant) Sample(*rand.Rand) time.Duration { return d.Value }

// Sample implements Distribution.
func (d Uniform) Sample(source *rand.Rand) time.Duration {
	return d.Min + time.Duration(source.Int64N(int64(d.Max-d.Min)+1))
}

// Sample implements Distribution.
func (d Normal) Sample(source *rand.Rand) time.Duration {
	return clamp(float64(d.Mean) + float64(d.StdDev)*source.NormFloat64())
}

// Sample implements Distribution. With m and s the mean and the standard deviation,
// the logarithm is normal with variance ln(1+s²/m²) and mean ln(m) - variance/2.
func (d LogNormal) Sample(source *rand.Rand) time.Duration {
	ratio := float64(d.StdDev) / float64(d.Mean)
	variance := math.Log1p(ratio * ratio)
	location := math.Log(float64(d.Mean)) - variance/2
	return clamp(math.Exp(location + math.Sqrt(variance)*source.NormFloat64()))
}

// clamp keeps a drawn latency a valid duration: the tails of the distributions are
// unbounded, the type is not.
func clamp(nanoseconds float64) time.Duration {
	return time.Duration(min(max(nanoseconds, 0), math.MaxInt64/2))
}

func (d Constant) String() string { return fmt.Sprintf("constant value=%s", d.Value) }
func (d Uniform) String() string  { return fmt.Sprintf("uniform min=%s max=%s", d.Min, d.Max) }
func (d Normal) String() string   { return fmt.Sprintf("normal mean=%s stddev=%s", d.Mean, d.StdDev) }

func (d LogNormal) String() string {
	return fmt.Sprintf("lognormal mean=%s stddev=%s", d.Mean, d.StdDev)
}

func (d Constant) validate() error { return notNegative("value", d.Value) }

func (d Uniform) validate() error {
	if err := notNegative("min", d.Min); err != nil {
		return err
	}
	if d.Max < d.Min {
		return fmt.Errorf("parameter max is %s, below min (%s): give a duration of at least min", d.Max, d.Min)
	}
	return nil
}

func (d Normal) validate() error {
	if err := notNegative("mean", d.Mean); err != nil {
		return err
	}
	return notNegative("stddev", d.StdDev)
}

func (d LogNormal) validate() error {
	if d.Mean <= 0 {
		return fmt.Errorf("parameter mean is %s: give a duration above 0, such as mean=100ms", d.Mean)
	}
	return notNegative("stddev", d.StdDev)
}

func notNegative(name string, value time.Duration) error {
	if value < 0 {
		return fmt.Errorf("parameter %s is %s: give a duration of at least 0, such as %s=100ms", name, value, name)
	}
	return nil
}
