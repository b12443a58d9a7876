package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// greeterService implements helloworld.Greeter.
type greeterService struct {
	greeter.UnimplementedGreeterServer
	pod, version string
}

func (g *greeterService) reply(request *greeter.HelloRequest) *greeter.HelloReply {
	return &greeter.HelloReply{Message: "Hello " + request.GetName(), Pod: g.pod, Version: g.version}
}

// SayHello greets once.
func (g *greeterService) SayHello(_ context.Context, request *greeter.HelloRequest) (*greeter.HelloReply, error) {
	return g.reply(request), nil
}

// SayHelloStreamReply greets request.count times, request.interval apart; the replies
// are numbered from 1.
func (g *greeterService) SayHelloStreamReply(
	request *greeter.HelloRequest, stream grpc.ServerStreamingServer[greeter.HelloReply],
) error {
	interval := request.GetInterval().AsDuration()
	if request.GetCount() < 0 || interval < 0 {
		return status.Errorf(codes.InvalidArgument,
			"count is %d and interval is %s: neither may be negative", request.GetCount(), interval)
	}
	for sequence := range max(request.GetCount(), 1) {
		if sequence > 0 {
			if err := pause(stream.Context(), interval); err != nil {
				return err
			}
		}
		reply := g.reply(request)
		reply.Sequence = sequence + 1
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, or returns the status of the context that ended first.
func pause(ctx context.Context, duration time.Duration) error {
	if duration <= 0 {
		return nil
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
