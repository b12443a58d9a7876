package server

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// identityOf is the response metadata that names the pod and the version.
func identityOf(cfg Config) metadata.MD {
	return metadata.Pairs(greeter.PodHeader, cfg.Pod, greeter.VersionHeader, cfg.Version)
}

// interceptor puts the identity on each answer and the faults on calls of the Greeter.
type interceptor struct {
	identity metadata.MD
	faults   *faults
	// work is Config.Work.
	work time.Duration
}

func (i *interceptor) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	if err := i.before(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (i *interceptor) stream(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	if err := i.before(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handler(service, stream)
}

// before delays or fails the call as the faults say, and sets the identity where the
// answer's shape has a place for it.
func (i *interceptor) before(ctx context.Context, method string) error {
	if !strings.HasPrefix(method, "/"+greeter.Greeter_ServiceDesc.ServiceName+"/") {
		return grpc.SetHeader(ctx, i.identity)
	}
	letGo, err := i.faults.limit().take(ctx)
	if err != nil {
		return err
	}
	if err := burn(i.work); err != nil {
		letGo()
		return status.Errorf(codes.Internal, "spend %s on the processor: %s", i.work, err)
	}
	verdict := i.faults.draw()
	err = pause(ctx, verdict.delay)
	letGo()
	if err != nil {
		return err
	}
	if verdict.err == nil {
		return grpc.SetHeader(ctx, i.identity)
	}
	// grpc-go answers with trailers only exactly when no header was set before.
	set := grpc.SetTrailer
	if verdict.placement == AfterHeaders {
		set = grpc.SendHeader
	}
	if err := set(ctx, i.identity); err != nil {
		return err
	}
	return verdict.err
}
