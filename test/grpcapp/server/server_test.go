package server_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headgate/headgate/test/grpcapp/greeter"
	"github.com/headgate/headgate/test/grpcapp/internal/await"
	"github.com/headgate/headgate/test/grpcapp/server"
)

// start serves until the test ends and returns a connection as well.
func start(t *testing.T, cfg server.Config) (*server.Local, *grpc.ClientConn) {
	t.Helper()
	cfg.Pod, cfg.Version, cfg.StopAtOnce = "greeter-a", "1.2", true
	local, err := server.StartLocal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.Stop(); err != nil {
			t.Error(err)
		}
	})
	return local, connect(t, local.GRPCAddress)
}

func connect(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnswersSayWhoAnswered(t *testing.T) {
	_, connection := start(t, server.Config{})
	var header metadata.MD
	reply, err := greeter.NewGreeterClient(connection).
		SayHello(testContext(t), &greeter.HelloRequest{Name: "world"}, grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	if reply.GetMessage() != "Hello world" || reply.GetPod() != "greeter-a" || reply.GetVersion() != "1.2" {
		t.Errorf("reply is %v", reply)
	}
	if got := header.Get(greeter.PodHeader); len(got) != 1 || got[0] != "greeter-a" {
		t.Errorf("%s is %v", greeter.PodHeader, got)
	}
	if got := header.Get(greeter.VersionHeader); len(got) != 1 || got[0] != "1.2" {
		t.Errorf("%s is %v", greeter.VersionHeader, got)
	}
}

func TestStreamsRefuseNegativeCounts(t *testing.T) {
	_, connection := start(t, server.Config{})
	stream, err := greeter.NewGreeterClient(connection).
		SayHelloStreamReply(testContext(t), &greeter.HelloRequest{Count: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("error is %v, want InvalidArgument", err)
	}
}

// A response of trailers only has no headers, so the identity is in its trailers.
func TestInjectedErrorsHaveTheChosenPlacement(t *testing.T) {
	local, connection := start(t, server.Config{})
	for placement, inHeaders := range map[server.Placement]bool{server.TrailersOnly: false, server.AfterHeaders: true} {
		t.Run(string(placement), func(t *testing.T) {
			fault := server.ErrorFault{Share: 1, Code: codes.ResourceExhausted, Message: "full", Placement: placement}
			if err := local.SetErrors(fault, 0); err != nil {
				t.Fatal(err)
			}
			var header, trailer metadata.MD
			_, err := greeter.NewGreeterClient(connection).SayHello(testContext(t), &greeter.HelloRequest{},
				grpc.Header(&header), grpc.Trailer(&trailer))
			if status.Code(err) != codes.ResourceExhausted || status.Convert(err).Message() != "full" {
				t.Errorf("error is %v", err)
			}
			if got := len(header.Get(greeter.PodHeader)) == 1; got != inHeaders {
				t.Errorf("the pod is in the headers: %t, want %t", got, inHeaders)
			}
			if got := len(trailer.Get(greeter.PodHeader)) == 1; got == inHeaders {
				t.Errorf("the pod is in the trailers: %t, want %t", got, !inHeaders)
			}
		})
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	local, connection := start(t, server.Config{})
	// Health checks are spared: they show readiness, not the faults.
	if err := local.SetErrors(server.ErrorFault{Share: 1, Code: codes.Internal}, 0); err != nil {
		t.Fatal(err)
	}
	const serving, notServing = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
	health := healthpb.NewHealthClient(connection)
	watch, err := health.Watch(testContext(t), &healthpb.HealthCheckRequest{Service: server.ReadinessService})
	if err != nil {
		t.Fatal(err)
	}
	for _, ready := range []bool{true, false, true} {
		local.SetReady(ready)
		want := map[bool]healthpb.HealthCheckResponse_ServingStatus{true: serving, false: notServing}[ready]
		for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
			"": want, server.ReadinessService: want, server.LivenessService: serving,
		} {
			response, err := health.Check(testContext(t), &healthpb.HealthCheckRequest{Service: service})
			if err != nil {
				t.Fatal(err)
			}
			if response.GetStatus() != want {
				t.Errorf("ready is %t: health of %q is %s, want %s", ready, service, response.GetStatus(), want)
			}
		}
		if response, err := watch.Recv(); err != nil || response.GetStatus() != want {
			t.Errorf("ready is %t: the watch says %s, %v, want %s", ready, response.GetStatus(), err, want)
		}
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	_, connection := start(t, server.Config{})
	stream, err := reflectionpb.NewServerReflectionClient(connection).ServerReflectionInfo(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	request := &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	services := response.GetListServicesResponse().String()
	for _, service := range []string{"helloworld.Greeter", "grpc.health.v1.Health"} {
		if !strings.Contains(services, service) {
			t.Errorf("%s is not among the services: %s", service, services)
		}
	}
}

func TestMetricsCountCallsByCode(t *testing.T) {
	local, connection := start(t, server.Config{})
	client := greeter.NewGreeterClient(connection)
	for range 3 {
		if _, err := client.SayHello(testContext(t), &greeter.HelloRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := local.SetErrors(server.ErrorFault{Share: 1, Code: codes.Aborted}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SayHello(testContext(t), &greeter.HelloRequest{}); status.Code(err) != codes.Aborted {
		t.Fatalf("error is %v, want Aborted", err)
	}

	response, err := http.Get("http://" + local.HTTPAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	const labels = `grpc_method="SayHello",grpc_service="helloworld.Greeter",grpc_type="unary"`
	for _, want := range []string{
		`grpc_server_handled_total{grpc_code="OK",` + labels + `} 3`,
		`grpc_server_handled_total{grpc_code="Aborted",` + labels + `} 1`,
		`grpc_server_handling_seconds_count{` + labels + `} 4`,
	} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestFrozenServersAcceptAndStaySilent(t *testing.T) {
	local, connection := start(t, server.Config{})
	health := healthpb.NewHealthClient(connection)
	if _, err := health.Check(testContext(t), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	local.Freeze(server.ScopeGRPC, 0)
	fresh := healthpb.NewHealthClient(connect(t, local.GRPCAddress))
	for name, client := range map[string]healthpb.HealthClient{"an old connection": health, "a new connection": fresh} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: error is %v, want DeadlineExceeded", name, err)
		}
	}
	local.Thaw()
	for name, client := range map[string]healthpb.HealthClient{"an old connection": health, "a new connection": fresh} {
		if _, err := client.Check(testContext(t), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Errorf("%s, thawed: %v", name, err)
		}
	}
}

func TestShutdownDrains(t *testing.T) {
	local, err := server.StartLocal(server.Config{DrainDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	client := greeter.NewGreeterClient(connect(t, local.GRPCAddress))
	stream, err := client.SayHelloStreamReply(testContext(t), &greeter.HelloRequest{Count: 2, Interval: durationpb.New(200 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}

	stopped := make(chan error, 1)
	go func() { stopped <- local.Stop() }()
	await.Until(t, "the server is not ready", func() bool { return !local.State().Ready })

	if _, err := stream.Recv(); err != nil {
		t.Errorf("the stream in flight was cut: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	local, err := server.StartLocal(server.Config{GraceTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	client := greeter.NewGreeterClient(connect(t, local.GRPCAddress))
	stream, err := client.SayHelloStreamReply(testContext(t), &greeter.HelloRequest{Count: 2, Interval: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := local.Stop(); err != nil { // would never return
		t.Error(err)
	}
	if _, err := stream.Recv(); err == nil || status.Code(err) == codes.DeadlineExceeded {
		t.Errorf("error is %v, want that of a cut stream", err)
	}
}
