package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

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
	proto.Message
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

// variant is what differs between state-of-the-world and incremental xDS.
type variant[Request request, Response proto.Message] struct {
	protocol cache.Protocol
	// subscribe tells the cache what the request subscribes to, and says whether that is something else than before.
	subscribe func(client *cache.Client, t cache.Type, r Request) (changed bool, err error)
	// subscription are the names that the request adds, and how many the client is then subscribed to at most.
	subscription func(client *cache.Client, t cache.Type, r Request) (names []string, total int)
	// absent is the answer to a request for a type that is not served, if there is one.
	absent func(r Request) (Response, bool)
	// encode makes the message of a response.
	encode func(r *cache.Response) Response
}

// maxUnserved bounds how many answers to requests for types that are not served may wait for the client to read.
const maxUnserved = 16

// What a client says of itself and of what it refuses is kept no longer than this, in bytes.
const (
	maxNodeBytes    = 256
	maxMessageBytes = 4 << 10
)

// session is a client's stream. One goroutine takes what the client says, another sends what there is, so that a client that does not
// read before it has written stops nobody, itself included.
type session[Request request, Response proto.Message] struct {
	server   *Server
	stream   stream[Request, Response]
	variant  variant[Request, Response]
	identity Identity
	tenant   *tenant
	// settled: the client's last request was an answer and nothing else. What it is sent from then on are changes.
	settled atomic.Bool

	// client is there once connected is closed: after the first request. The mutex is held while it comes and goes.
	mu        sync.Mutex
	closed    bool
	client    *cache.Client
	connected chan struct{}
	unserved  chan Response

	timer <-chan time.Time
	stop  func() bool
}

// serve runs a stream until it ends.
func serve[Request request, Response proto.Message](s *Server, str stream[Request, Response], v variant[Request, Response]) error {
	identity, tenant, leave, err := s.admit(str.Context())
	if err != nil {
		return err
	}
	defer leave()
	session := &session[Request, Response]{
		server: s, stream: str, variant: v, identity: identity, tenant: tenant,
		connected: make(chan struct{}), unserved: make(chan Response, maxUnserved),
	}
	defer session.close()
	return session.run()
}

// run sends what there is to send, until the stream ends.
func (s *session[Request, Response]) run() error {
	ctx := s.stream.Context()
	ended := make(chan error, 1)
	go func() { ended <- s.receive(ctx) }()
	connected, draining := s.connected, s.server.draining.Done()
	var ready <-chan struct{}
	var end <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-draining:
			timer := s.server.config.Clock.NewTimer(s.server.drainDelay())
			defer timer.Stop()
			draining, end = nil, timer.C()
			continue
		case <-end:
			return errDraining
		case err := <-ended:
			return err
		case response := <-s.unserved:
			if err := s.stream.Send(response); err != nil {
				return err
			}
			continue
		case <-connected:
			connected, ready = nil, s.client.Ready()
		case <-ready:
		case <-s.timer:
		}
		if err := s.push(); err != nil {
			return err
		}
	}
}

// receive takes requests, no faster than they may come, until the stream ends. A request that does no more than answer a response is
// free: the client could not help to say it.
func (s *session[Request, Response]) receive(ctx context.Context) error {
	limits := s.server.config.Limits
	bucket := rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), limits.RequestBurst)
	from := requestsOf(ctx)
	for {
		r, err := s.stream.Recv()
		if err != nil {
			return s.ending(err)
		}
		from.taken(proto.Size(r))
		var free bool
		s.inTurn(func() { free, err = s.handle(r) })
		if err != nil {
			return err
		}
		s.settled.Store(free)
		if free {
			continue
		}
		if err := bucket.Wait(ctx); err != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
	}
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

// handle takes a request: an answer to a response, a subscription, or both. It is free if it is only an answer.
func (s *session[Request, Response]) handle(r Request) (free bool, err error) {
	if r.GetTypeUrl() == "" {
		return false, s.refuse(codes.InvalidArgument, reasonType, errors.New("a request names no type_url"))
	}
	if s.client == nil {
		if err := s.connect(r.GetNode()); err != nil {
			return false, err
		}
	}
	t, ok := cache.TypeOf(r.GetTypeUrl())
	if !ok {
		return false, s.unknown(r)
	}
	answered := r.GetResponseNonce() != "" && s.answer(t, r)
	if err := s.bound(t, r); err != nil {
		return false, err
	}
	changed, err := s.variant.subscribe(s.client, t, r)
	if err != nil {
		return false, s.refuse(codes.ResourceExhausted, reasonMemory, err)
	}
	return answered && !changed, nil
}

// connect takes the node from the first request: "only the first message on a stream is guaranteed to
// carry the node identifier" (xDS protocol). What later requests say of it is not looked at.
func (s *session[Request, Response]) connect(node *core.Node) error {
	if node.GetId() == "" {
		return s.refuse(codes.InvalidArgument, reasonNode, errors.New("the first request names no node.id"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errDraining // nobody hears it: the stream has ended
	}
	everything, _ := cache.ParseSelector(node.GetCluster())
	id := cut(node.GetId(), maxNodeBytes)
	s.client = s.server.config.Cache.Connect(s.variant.protocol, id, cache.Scope{
		Namespace:     s.identity.Namespace,
		AllNamespaces: s.identity.AllNamespaces,
		Everything:    everything,
	}, s.tenant)
	close(s.connected)
	s.server.metrics.streams.WithLabelValues(protocolName(s.variant.protocol)).Inc()
	s.server.config.Log.V(1).Info("An xDS client has come", "client", s.identity.Name, "node", id, "cluster", cut(node.GetCluster(), maxNodeBytes))
	return nil
}

// cut is the beginning of what a client says, and valid UTF-8 as the whole is.
func cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes]
}

// answer passes on what the client says of a response, and says whether one was waiting for that. The client refused it if the
// request has an error, whatever version it names.
func (s *session[Request, Response]) answer(t cache.Type, r Request) bool {
	if detail := r.GetErrorDetail(); detail != nil {
		s.server.metrics.nacks.WithLabelValues(t.String()).Inc()
		return s.client.Nack(t, r.GetResponseNonce(), cut(detail.GetMessage(), maxMessageBytes))
	}
	return s.client.Ack(t, r.GetResponseNonce())
}

// bound refuses subscriptions that are too large or not the client's to make.
func (s *session[Request, Response]) bound(t cache.Type, r Request) error {
	names, total := s.variant.subscription(s.client, t, r)
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
	response, ok := s.variant.absent(r)
	if !ok {
		return nil
	}
	select {
	case s.unserved <- response:
		return nil
	default:
		return s.refuse(codes.ResourceExhausted, reasonType,
			fmt.Errorf("%d answers to requests for types that are not served wait to be read", maxUnserved))
	}
}

// push sends what there is to send.
func (s *session[Request, Response]) push() error {
	s.disarm()
	m, clk := s.server.metrics, s.server.config.Clock
	for {
		var next *cache.Response
		var again time.Time
		s.inTurn(func() { next, again = s.client.Next() })
		if next == nil {
			s.arm(again)
			return nil
		}
		response := s.variant.encode(next)
		size := proto.Size(response)
		if err := s.send(response, size); err != nil {
			return err
		}
		m.responses.WithLabelValues(next.Type.String()).Inc()
		m.bytes.WithLabelValues(next.Type.String()).Add(float64(size))
		if !next.ChangedAt.IsZero() {
			m.latency.Observe(clk.Since(next.ChangedAt).Seconds())
		}
	}
}

// inTurn has the session use the cache. Of clients that have much to ask for and to be told, because they have just come, only a few do
// at a time: many come at once when another replica ends, and those that are there do not wait for all of them.
func (s *session[Request, Response]) inTurn(use func()) {
	if !s.settled.Load() {
		s.server.arrivals <- struct{}{}
		defer func() { <-s.server.arrivals }()
	}
	use()
}

// send returns when the client has read enough that no more waits than HTTP/2 buffers.
func (s *session[Request, Response]) send(response Response, size int) error {
	s.tenant.Add(size)
	defer s.tenant.Add(-size)
	return s.stream.Send(response)
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

// close ends the client. The goroutine that takes requests may still be at its last, which then means nothing.
func (s *session[Request, Response]) close() {
	s.disarm()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
		s.server.metrics.streams.WithLabelValues(protocolName(s.variant.protocol)).Dec()
	}
}
