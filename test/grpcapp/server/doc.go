// Package server is the sample application: a gRPC server that says which pod and
// version answered, and that can be told to misbehave.
//
// It serves helloworld.Greeter, grpc.health.v1 (services "", "readiness" and
// "liveness") and reflection on one port, and over HTTP on another port:
//
//	GET  /metrics            Prometheus metrics
//	GET  /control            the current state (State as JSON)
//	POST /control/errors     share=0..1, code=UNAVAILABLE, message=…, placement=trailers-only|after-headers, seed=…
//	POST /control/latency    distribution=constant   value=…
//	                         distribution=uniform    min=… max=…
//	                         distribution=normal     mean=… stddev=…
//	                         distribution=lognormal  mean=… stddev=…
//	                         distribution=none; each with seed=…
//	POST /control/capacity   limit=1..; 0 for none  queue=0.. or -1 for any  code=UNAVAILABLE
//	POST /control/freeze     scope=grpc|all, duration=…
//	POST /control/thaw
//	POST /control/crash      exit=1..255
//	POST /control/not-ready
//	POST /control/ready
//	POST /control/reset      normal again: no errors, no latency, no limit, thawed, ready
//
// The crash has no answer, and the answer to a freeze of scope "all" shows the state
// before it: no later one could.
//
// Parameters come in the query, as a form, or as a JSON object of the same names.
// Durations are Go durations ("150ms"). Other POSTs answer with the state after it;
// a request that asks for something impossible changes nothing and gets 400 with a
// sentence that names the parameter and the remedy.
//
// Errors: that share of the calls to the Greeter, drawn per call, gets the status
// code. "trailers-only" is a response of one HEADERS frame, as a server answers that
// fails before anything else; "after-headers" sends response headers first.
// Health checks and reflection are never touched by errors, latency or the limit.
//
// Capacity: at most limit calls to the Greeter are worked on at once, for as long as the latency says; queue more wait for their
// turn, and the others get the code. Calls that are under way go on by the limit under which they came.
//
// Freeze: connections are accepted, and then nothing is read or written on any of
// them: no SETTINGS, no PING answers, no health answers, until the duration has
// passed or, without one, until a thaw or a reset. Scope "all" freezes the HTTP port
// as well, once this request is answered; only a duration ends that.
// kill -STOP on the process has the same effect as scope "all", but only from
// outside its container: the kernel ignores SIGSTOP for the first process of a PID
// namespace when it comes from inside.
//
// Crash: the process exits at once, with the exit code given or 1.
//
// Not-ready: health of "" and "readiness" becomes NOT_SERVING; "liveness" stays
// SERVING, and calls are answered as before.
package server
