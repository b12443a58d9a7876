package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/time/rate"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headgate/headgate/xds/cache"
)

// request is what the requests of both variants have in common.
type request interface {
	GetNode() *core.Node
	GetTypeUrl() string
	GetResponseNonce() string
	GetErrorDetail() *rpcstatus.Status
}

// stream is a gRPC stream of one variant.
type stream[Request request, Response proto.Message] interface {
	Context() context.Context
	Send(response Response) error
	Recv() (Request, error)
}

// dialect is what differs between the variants.
type dialect[Request request, Response proto.Message] struct {
	protocol cache.Protocol
	// subscribe tells the cache what the request subscribes to.
	subscribe func(client *cache.Client, t cache.Type, r Request)
	// subscription are the names that the request adds, and how many the client then follows at most.
	subscription func(client *cache.Client, t cache.Type, r Request) (names []string, total int)
	// absent is the answer to a request for a type that is not served, if there is one.
	absent func(r Request) (Response, bool)
	// encode makes a response of a push.
	encode func(push *cache.Push) Response
}

// session is a client's stream.
type session[Request request, Response proto.Message] struct {
	server   *Server
	stream   stream[Request, Response]
	dialect  dialect[Request, Response]
	identity Identity

	client *cache.Client // nil before the first request
	timer  <-chan time.Time
	stop   func() bool
}

// serve runs a stream until it ends.
func serve[Request request, Response proto.Message](s *Server, str stream[Request, Response], d dialect[Request, Response]) error {
	identity, leave, err := s.admit(str.Context())
	if err != nil {
		return err
	}
	defer leave()
	session := &session[Request, Response]{server: s, stream: str, dialect: d, identity: identity}
	defer session.close()
	return session.run()
}

// run handles what comes, one thing at a time: requests, changes of the cache, the end.
func (s *session[Request, Response]) run() error {
	ctx := s.stream.Context()
	requests, ended := s.receive(ctx)
	for {
		var ready <-chan struct{}
		if s.client != nil {
			ready = s.client.Ready()
		}
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-s.server.draining:
			return errDraining
		case err := <-ended:
			return err
		case r := <-requests:
			if err := s.handle(r); err != nil {
				return err
			}
		case <-ready:
		case <-s.timer:
		}
		if err := s.push(); err != nil {
			return err
		}
	}
}

// receive reads requests, no faster than they may come, until the stream ends. While the session does not take
// them, the client has to wait.
func (s *session[Request, Response]) receive(ctx context.Context) (<-chan Request, <-chan error) {
	limits := s.server.config.Limits
	bucket := rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), limits.RequestBurst)
	requests, ended := make(chan Request), make(chan error, 1)
	go func() {
		for {
			if err := bucket.Wait(ctx); err != nil {
				return // the stream has ended, and run knows
			}
			r, err := s.stream.Recv()
			if err != nil {
				ended <- s.ending(err)
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return requests, ended
}

// ending judges why no more can be received. The end of a client, or of its connection, is no error. Bytes
// that are no request, or too many of them, are the client's fault.
func (s *session[Request, Response]) ending(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	switch status.Code(err) {
	case codes.Internal, codes.ResourceExhausted, codes.Unimplemented:
		s.server.refusals.add(s.identity.Name, reasonMessage, err)
	default:
	}
	return err
}

// handle takes a request: an answer to a response, a subscription, or both.
func (s *session[Request, Response]) handle(r Request) error {
	if s.client == nil {
		if err := s.connect(r.GetNode()); err != nil {
			return err
		}
	}
	t, ok := cache.TypeOf(r.GetTypeUrl())
	if !ok {
		return s.unknown(r)
	}
	if nonce := r.GetResponseNonce(); nonce != "" {
		s.answer(t, r)
	}
	if err := s.bound(t, r); err != nil {
		return err
	}
	s.dialect.subscribe(s.client, t, r)
	return nil
}

// connect takes the node from the first request: "only the first message on a stream is guaranteed to
// carry the node identifier" (xDS protocol). What later requests say of it is not looked at.
func (s *session[Request, Response]) connect(node *core.Node) error {
	if node.GetId() == "" {
		return s.refuse(codes.InvalidArgument, reasonNode, errors.New("the first request names no node.id"))
	}
	everything, _ := cache.ParseSelector(node.GetCluster())
	s.client = s.server.config.Cache.Connect(s.dialect.protocol, node.GetId(), cache.Scope{
		Namespace:     s.identity.Namespace,
		AllNamespaces: s.identity.AllNamespaces,
		Everything:    everything,
	})
	s.server.metrics.streams.WithLabelValues(protocolName(s.dialect.protocol)).Inc()
	s.server.config.Log.V(1).Info("An xDS client has come", "client", s.identity.Name, "node", node.GetId(), "cluster", node.GetCluster())
	return nil
}

// answer passes on what the client says of a response. It is a refusal when it has an error, whatever
// version it names.
func (s *session[Request, Response]) answer(t cache.Type, r Request) {
	a := cache.Answer{Nonce: r.GetResponseNonce()}
	if detail := r.GetErrorDetail(); detail != nil {
		a.Refused, a.Refusal = true, detail.GetMessage()
		s.server.metrics.nacks.WithLabelValues(t.String()).Inc()
	}
	s.client.Answer(t, a)
}

// bound refuses subscriptions that are too large or not the client's to make.
func (s *session[Request, Response]) bound(t cache.Type, r Request) error {
	names, total := s.dialect.subscription(s.client, t, r)
	if limit := s.server.config.Limits.Names; total > limit {
		return s.refuse(codes.ResourceExhausted, reasonNames, fmt.Errorf("%d names of %s in one stream, %d are allowed", total, t, limit))
	}
	if !s.client.AsksForEverything(t, names) {
		return nil
	}
	switch everything := s.client.Scope().Everything; {
	case everything == cache.Selector{}:
		return s.refuse(codes.InvalidArgument, reasonNode,
			errors.New("everything is asked for, and node.cluster, <namespace> or <namespace>/<name>, does not say of what"))
	case !s.client.Scope().Reads(everything.Namespace):
		return s.refuse(codes.PermissionDenied, reasonNamespace,
			fmt.Errorf("%s may not read namespace %s, which node.cluster names", s.identity.Name, everything.Namespace))
	}
	return nil
}

// unknown answers a request for a type that is not served: none of it exists.
func (s *session[Request, Response]) unknown(r Request) error {
	s.server.refusals.add(s.identity.Name, reasonType, fmt.Errorf("resources of type %.100q are not served", r.GetTypeUrl()))
	response, ok := s.dialect.absent(r)
	if !ok {
		return nil
	}
	return s.stream.Send(response)
}

// push sends what there is to send.
func (s *session[Request, Response]) push() error {
	s.disarm()
	if s.client == nil {
		return nil
	}
	m, clk := s.server.metrics, s.server.config.Clock
	for {
		push, again := s.client.Next()
		if push == nil {
			s.arm(again)
			return nil
		}
		response := s.dialect.encode(push)
		if err := s.stream.Send(response); err != nil {
			return err
		}
		m.pushes.WithLabelValues(push.Type.String()).Inc()
		m.bytes.WithLabelValues(push.Type.String()).Add(float64(proto.Size(response)))
		if !push.ChangedAt.IsZero() {
			m.latency.Observe(clk.Since(push.ChangedAt).Seconds())
		}
	}
}

// arm has the session look again at a time, if one is given.
func (s *session[Request, Response]) arm(at time.Time) {
	if at.IsZero() {
		return
	}
	clk := s.server.config.Clock
	timer := clk.NewTimer(at.Sub(clk.Now()))
	s.timer, s.stop = timer.C(), timer.Stop
}

func (s *session[Request, Response]) disarm() {
	if s.stop != nil {
		s.stop()
	}
	s.timer, s.stop = nil, nil
}

func (s *session[Request, Response]) refuse(code codes.Code, why reason, err error) error {
	s.server.refusals.add(s.identity.Name, why, err)
	return status.Error(code, err.Error())
}

func (s *session[Request, Response]) close() {
	s.disarm()
	if s.client != nil {
		s.client.Close()
		s.server.metrics.streams.WithLabelValues(protocolName(s.dialect.protocol)).Dec()
	}
}
