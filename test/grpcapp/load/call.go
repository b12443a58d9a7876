package load

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// Call is one recorded call.
type Call struct {
	// Due is when the call was to be sent.
	Due time.Time
	// SendLag is how long after Due it was sent.
	SendLag time.Duration
	// Latency counts from Due to the end of the call.
	Latency time.Duration
	// Code is the status; DataLoss when a stream ended well without all its messages
	// in order.
	Code codes.Code
	// Message is the status message of a failed call.
	Message string
	// Pod and Version answered; empty when nothing did.
	Pod, Version string
}

// Failed says whether the call counts as failed.
func (c Call) Failed() bool { return c.Code != codes.OK }

// answer is what one call brought.
type answer struct {
	pod, version string
	err          error
}

// caller makes the calls of a run.
type caller struct {
	cfg     Config
	clients []greeter.GreeterClient
	options []grpc.CallOption
	request *greeter.HelloRequest
}

func newCaller(cfg Config, connections []*grpc.ClientConn) *caller {
	c := &caller{cfg: cfg, request: &greeter.HelloRequest{Name: cfg.Name}}
	for _, connection := range connections {
		c.clients = append(c.clients, greeter.NewGreeterClient(connection))
	}
	if cfg.WaitForReady {
		c.options = append(c.options, grpc.WaitForReady(true))
	}
	if cfg.Method == Stream {
		c.request.Count = int32(cfg.Messages) // validate bounds it
		c.request.Interval = durationpb.New(cfg.Interval)
	}
	return c
}

func (c *caller) call(number int) answer {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
	defer cancel()
	if len(c.cfg.Metadata) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, c.cfg.Metadata)
	}
	client := c.clients[number%len(c.clients)]
	if c.cfg.Method == Stream {
		return c.stream(ctx, client)
	}
	return c.unary(ctx, client)
}

func (c *caller) unary(ctx context.Context, client greeter.GreeterClient) answer {
	var header, trailer metadata.MD
	options := append([]grpc.CallOption{grpc.Header(&header), grpc.Trailer(&trailer)}, c.options...)
	reply, err := client.SayHello(ctx, c.request, options...)
	return answerOf(reply, header, trailer, err)
}

func (c *caller) stream(ctx context.Context, client greeter.GreeterClient) answer {
	stream, err := client.SayHelloStreamReply(ctx, c.request, c.options...)
	if err != nil {
		return answer{err: err}
	}
	first, err := c.receive(stream)
	header, _ := stream.Header() // if it fails, then for the reason that receive gives
	return answerOf(first, header, stream.Trailer(), err)
}

// receive returns the first reply, nil when there was none, and an error unless all
// replies came in order.
func (c *caller) receive(stream grpc.ServerStreamingClient[greeter.HelloReply]) (*greeter.HelloReply, error) {
	var first *greeter.HelloReply
	for received := 0; ; received++ {
		reply, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && received == c.cfg.Messages:
			return first, nil
		case errors.Is(err, io.EOF):
			return first, status.Errorf(codes.DataLoss, "the stream ended after %d of %d messages", received, c.cfg.Messages)
		case err != nil:
			return first, status.Errorf(status.Code(err), "%s (after %d of %d messages)",
				status.Convert(err).Message(), received, c.cfg.Messages)
		case received == c.cfg.Messages:
			return first, status.Errorf(codes.DataLoss, "the stream went on after %d messages", received)
		case int(reply.GetSequence()) != received+1:
			return first, status.Errorf(codes.DataLoss, "message %d of the stream came as number %d",
				reply.GetSequence(), received+1)
		}
		if first == nil {
			first = reply
		}
	}
}

// answerOf takes the identity from the reply or, for errors and for servers that only
// know the original helloworld, from the response metadata.
func answerOf(reply *greeter.HelloReply, header, trailer metadata.MD, err error) answer {
	return answer{
		pod:     firstOf(reply.GetPod(), header.Get(greeter.PodHeader), trailer.Get(greeter.PodHeader)),
		version: firstOf(reply.GetVersion(), header.Get(greeter.VersionHeader), trailer.Get(greeter.VersionHeader)),
		err:     err,
	}
}

func firstOf(value string, lists ...[]string) string {
	for _, list := range lists {
		if value == "" && len(list) > 0 {
			value = list[0]
		}
	}
	return value
}
