package server

import (
	"crypto/tls"
	"math/rand/v2"
	"os"
	"time"
)

// Config describes one server. The zero value serves.
type Config struct {
	// Pod is the name that answers carry.
	Pod string
	// Version is the application version that answers carry.
	Version string
	// Seed starts the draws of errors and latencies; 0 takes a random seed.
	Seed uint64
	// Work is the processor's time that each call to the Greeter takes, whatever else it waits for.
	Work time.Duration
	// TLS serves gRPC over TLS; nil serves plaintext.
	TLS *tls.Config
	// DrainDelay is how long the server stays up, not ready, before it refuses new
	// calls; the time load balancers have to notice.
	DrainDelay time.Duration
	// GraceTimeout bounds how long calls in flight may finish after DrainDelay;
	// 0 means 20 s.
	GraceTimeout time.Duration
	// StopAtOnce skips the drain: calls in flight are cut.
	StopAtOnce bool
	// Exit ends the process for the crash fault; nil means os.Exit.
	Exit func(code int)
}

const defaultGraceTimeout = 20 * time.Second

func (c Config) withDefaults() Config {
	if c.GraceTimeout == 0 {
		c.GraceTimeout = defaultGraceTimeout
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if c.Exit == nil {
		c.Exit = os.Exit
	}
	return c
}
