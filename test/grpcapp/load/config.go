package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Method is what is called.
type Method string

// The methods.
const (
	// Unary calls SayHello; it is the default.
	Unary Method = "SayHello"
	// Stream calls SayHelloStreamReply; a call is one stream.
	Stream Method = "SayHelloStreamReply"
)

// Config describes a run. Target and Rate are required.
type Config struct {
	// Target is a gRPC target, such as "127.0.0.1:50051" or "dns:///greeter.shop:50051".
	Target string
	// Rate is in calls per second.
	Rate float64
	// Duration is how long calls are started; 0 means until Stop.
	Duration time.Duration
	// Method is Unary when empty.
	Method Method
	// Messages is the number of replies each stream must bring; 0 means 5.
	Messages int
	// Interval is the pause that the server makes between two replies of a stream.
	Interval time.Duration
	// Name is whom the server greets; "load" when empty.
	Name string
	// Timeout is each call's deadline, counted from when it is sent; 0 means 2 s, for
	// streams on top of the time that their intervals take.
	Timeout time.Duration
	// MaxInFlight bounds the calls that are under way; 0 means no bound. A call that is due
	// while so many are waits for one of them to end, and its wait is in its latency and in
	// the report's send lag. Without a bound a machine that cannot answer at the rate gets
	// ever more calls, none of which has an answer before its deadline.
	MaxInFlight int
	// Connections take turns in carrying the calls; 0 means 4.
	Connections int

	// TLS encrypts the connections; nil means plaintext. TLSConfig builds one from files.
	TLS *tls.Config
	// Authority overrides the authority of the target.
	Authority string
	// Metadata is sent with each call.
	Metadata metadata.MD
	// WaitForReady lets calls wait for a connection until their deadline instead of
	// failing at once when there is none.
	WaitForReady bool
	// ServiceConfig is a gRPC service config as JSON, for load balancing and, with
	// Retry, retry policies; none by default. One that a resolver brings is ignored
	// unless the target is an xds: one.
	ServiceConfig string
	// Retry permits the retries of the service config.
	Retry bool
	// MaxBackoff bounds the pause between attempts to connect; 0 means 1 s. gRPC's own
	// 120 s would count a server as failed long after it recovered.
	MaxBackoff time.Duration
	// DialOptions are added to those that follow from the fields above.
	DialOptions []grpc.DialOption

	// Group maps a pod's name to the group that timeline and summary show, such as its
	// Deployment; nil shows pods, or versions when there are many pods. It must be a
	// pure function.
	Group func(pod string) string
}

const (
	defaultMessages    = 5
	defaultTimeout     = 2 * time.Second
	defaultConnections = 4
	defaultMaxBackoff  = time.Second
)

func (c Config) withDefaults() Config {
	if c.Method == "" {
		c.Method = Unary
	}
	if c.Messages == 0 {
		c.Messages = defaultMessages
	}
	if c.Name == "" {
		c.Name = "load"
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
		if c.Method == Stream {
			c.Timeout += c.streamTime()
		}
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = defaultMaxBackoff
	}
	return c
}

// streamTime is how long a stream takes at least.
func (c Config) streamTime() time.Duration {
	return time.Duration(c.Messages-1) * c.Interval
}

// validate expects a configuration with its defaults set.
func (c Config) validate() error {
	var mistakes []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	check(c.Target != "", "target is empty: give host:port or another gRPC target")
	check(c.Rate > 0 && !math.IsInf(c.Rate, 0), "rate is %v: give a number of calls per second above 0", c.Rate)
	check(c.Duration >= 0, "duration is %s: give 0 (until stopped) or more", c.Duration)
	check(c.Method == Unary || c.Method == Stream, "method is %q: give %s or %s", c.Method, Unary, Stream)
	check(c.Messages > 0 && c.Messages <= math.MaxInt32, "messages is %d: give 1 or more", c.Messages)
	check(c.Interval >= 0, "interval is %s: give 0 or more", c.Interval)
	check(c.Timeout > 0, "timeout is %s: give more than 0", c.Timeout)
	check(c.Connections > 0, "connections is %d: give 1 or more", c.Connections)
	check(c.MaxInFlight >= 0, "max in flight is %d: give 0 (no bound) or more", c.MaxInFlight)
	check(c.MaxBackoff > 0, "max backoff is %s: give more than 0", c.MaxBackoff)
	check(c.Method != Stream || c.Timeout > c.streamTime(),
		"timeout is %s but a stream takes at least %s: give more", c.Timeout, c.streamTime())
	return errors.Join(mistakes...)
}

// calls is the number of calls of the whole run; 0 when it has no end.
func (c Config) calls() int {
	// The tolerance keeps a product such as 0.1*3 from starting one call too many.
	const tolerance = 1e-9
	return int(math.Ceil(c.Rate*c.Duration.Seconds() - tolerance))
}

// offset is when the call with this number is due, from the start of the run.
func (c Config) offset(call int) time.Duration {
	return time.Duration(float64(call) / c.Rate * float64(time.Second))
}
