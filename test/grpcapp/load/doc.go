// Package load is an open-loop load client for the greeter that counts every call:
// the judge of whether traffic was lost.
//
// Calls start at a constant rate on an absolute schedule, whether or not earlier ones
// have been answered. Latency counts from the time a call was due, so a generator or
// a server that falls behind shows up as latency instead of as fewer calls
// (no coordinated omission). How late the generator itself was is reported as send lag.
//
// Nothing is retried: a call that fails is a failed call. One thing no gRPC client can
// turn off remains: a call that provably never reached an application, because its
// connection was going away, is moved to another connection (transparent retry,
// gRFC A6). The report counts those.
//
// The package reads the machine's clock: measuring is what it is for. Everything after
// the measurement (Report and what it renders) is a pure function of what was recorded.
package load
