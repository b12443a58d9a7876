package load

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// attempts counts what gRPC does beneath the calls: a call is one attempt, plus one
// for each retry.
type attempts struct {
	total, transparentRetries atomic.Int64
}

func (*attempts) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (a *attempts) HandleRPC(_ context.Context, event stats.RPCStats) {
	begin, ok := event.(*stats.Begin)
	if !ok {
		return
	}
	a.total.Add(1)
	if begin.IsTransparentRetryAttempt {
		a.transparentRetries.Add(1)
	}
}

func (*attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (*attempts) HandleConn(context.Context, stats.ConnStats) {}
