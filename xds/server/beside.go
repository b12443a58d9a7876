package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// beside registers services that are served beside discovery. Their calls are admitted as discovery's streams are, know
// who calls ([IdentityOf]), and end when the replica does.
type beside struct {
	grpc.ServiceRegistrar

	server *Server
}

// RegisterService implements grpc.ServiceRegistrar.
func (b beside) RegisterService(description *grpc.ServiceDesc, implementation any) {
	guarded := *description
	guarded.Methods = make([]grpc.MethodDesc, len(description.Methods))
	for i, method := range description.Methods {
		guarded.Methods[i] = grpc.MethodDesc{MethodName: method.MethodName, Handler: b.call(method.Handler)}
	}
	guarded.Streams = make([]grpc.StreamDesc, len(description.Streams))
	for i, stream := range description.Streams {
		stream.Handler = b.stream(stream.Handler)
		guarded.Streams[i] = stream
	}
	b.ServiceRegistrar.RegisterService(&guarded, implementation)
}

func (b beside) call(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(implementation any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		return handler(implementation, ctx, decode, interceptor)
	}
}

func (b beside) stream(handler grpc.StreamHandler) grpc.StreamHandler {
	return func(implementation any, str grpc.ServerStream) error {
		ctx, leave, err := b.enter(str.Context())
		if err != nil {
			return err
		}
		defer leave()
		err = handler(implementation, identified{str, ctx})
		if errors.Is(context.Cause(ctx), errDraining) {
			return errDraining
		}
		return err
	}
}

// enter admits a call. Its context knows the client and ends with the replica.
func (b beside) enter(ctx context.Context) (context.Context, func(), error) {
	identity, _, leave, err := b.server.admit(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, identityKey{}, identity))
	stop := context.AfterFunc(b.server.draining, func() {
		timer := b.server.config.Clock.NewTimer(b.server.drainDelay())
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel(errDraining)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		stop()
		cancel(nil)
		leave()
	}, nil
}

// identified is a stream with a context of its own.
type identified struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // this is what a stream's context is for
}

// RecvMsg implements grpc.ServerStream.
func (s identified) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if message, ok := m.(proto.Message); ok && err == nil {
		requestsOf(s.ctx).taken(proto.Size(message))
	}
	return err
}

// Context implements grpc.ServerStream.
func (s identified) Context() context.Context { return s.ctx }

type identityKey struct{}

// IdentityOf says who makes a call to a service that [Config.Register] added. Without one, PermissionDenied.
func IdentityOf(ctx context.Context) (Identity, error) {
	identity, ok := ctx.Value(identityKey{}).(Identity)
	if !ok {
		return Identity{}, status.Error(codes.PermissionDenied, errNoCertificate.Error())
	}
	return identity, nil
}
