package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Run is load that is being made.
type Run struct {
	cfg         Config
	connections []*grpc.ClientConn
	caller      *caller
	recorder    *recorder
	attempts    *attempts
	stop        context.CancelFunc
	done        chan struct{}
	report      Report // set before done is closed
}

// Start makes load until the configured duration has passed, the context ends or Stop
// is called. Calls in flight are not cut by any of these: they end by answer or
// deadline. Its error says what in the configuration is wrong.
func Start(ctx context.Context, cfg Config) (*Run, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	attempts := &attempts{}
	connections, err := dial(cfg, attempts)
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	run := &Run{
		cfg:         cfg,
		connections: connections,
		caller:      newCaller(cfg, connections),
		recorder:    newRecorder(time.Now()),
		attempts:    attempts,
		stop:        stop,
		done:        make(chan struct{}),
	}
	go run.run(ctx)
	return run, nil
}

// Stop starts no further calls, waits for those in flight and returns the report. It
// may be called again, also after the run ended by itself.
func (r *Run) Stop() Report {
	r.stop()
	return r.Wait()
}

// Wait returns the report when the run has ended by itself or was stopped.
func (r *Run) Wait() Report {
	<-r.done
	return r.report
}

// Done is closed when the run has ended and all its calls are counted.
func (r *Run) Done() <-chan struct{} { return r.done }

// Snapshot reports on the calls that have ended so far. Its cost grows with their
// number; for a look each second at a long run use Recent.
func (r *Run) Snapshot() Report {
	return r.reportAt(time.Now())
}

// Recent summarises the calls that ended after the first `seen` calls to end, and
// returns how many have ended by now: the `seen` of the next look. Its Offset is the
// due time of the first of them.
func (r *Run) Recent(seen int) (Bucket, int) {
	recording := r.recorder.recording()
	calls := recording.calls[min(seen, len(recording.calls)):]
	return newBucket(recording, calls, r.cfg.Group), len(recording.calls)
}

// Mark writes a label into the timeline at the present time.
func (r *Run) Mark(label string) { r.recorder.mark(label, time.Now()) }

func (r *Run) run(ctx context.Context) {
	defer r.stop()
	defer close(r.done)
	defer closeAll(r.connections)
	var inFlight sync.WaitGroup
	places := newPlaces(r.cfg.MaxInFlight)
	r.schedule(ctx, func(number int, due time.Time) {
		if !places.take(ctx) {
			return
		}
		r.recorder.sending()
		inFlight.Go(func() {
			defer places.leave()
			r.call(number, due)
		})
	})
	inFlight.Wait()
	r.report = r.reportAt(time.Now())
}

// schedule starts each call when it is due. Calls that are overdue start at once: none
// is left out, however late the scheduler is. It waits for start.
func (r *Run) schedule(ctx context.Context, start func(number int, due time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	limit := r.cfg.calls()
	for number := 0; limit == 0 || number < limit; number++ {
		due := r.recorder.start.Add(r.cfg.offset(number))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		start(number, due)
	}
}

func (r *Run) call(number int, due time.Time) {
	sent := time.Now()
	answer := r.caller.call(number)
	ended := time.Now()
	failure := status.Convert(answer.err)
	r.recorder.record(Call{
		Due:     due,
		SendLag: sent.Sub(due),
		Latency: ended.Sub(due),
		Code:    failure.Code(),
		Message: failure.Message(),
		Pod:     answer.pod,
		Version: answer.version,
	})
}

func (r *Run) reportAt(now time.Time) Report {
	report := newReport(r.cfg, r.recorder.recording(), now)
	report.Attempts = int(r.attempts.total.Load())
	report.TransparentRetries = int(r.attempts.transparentRetries.Load())
	return report
}
