package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"
)

// reporting is how many clients report, and for how long that is looked at.
const (
	reporting     = 1000
	reportingTime = 20 * time.Second
)

// loadReports measures what it costs that clients report, while nobody asks and while somebody does.
func (w wire) loadReports() {
	if !w.measures(kinds[0]) {
		return
	}
	server := startRemote(kinds[0], 10, w.dir)
	defer server.end()
	ctx, cancel := context.WithCancel(context.Background())
	var clients, connected sync.WaitGroup
	for i := range reporting {
		connected.Add(1)
		clients.Go(func() { report(ctx, i, server.address, w.creds, connected.Done) })
	}
	connected.Wait()
	pause()
	before := server.usage().cpu
	time.Sleep(reportingTime)
	idle := server.usage().cpu - before

	before = server.usage().cpu
	for end := time.Now().Add(reportingTime); time.Now().Before(end); time.Sleep(time.Second) {
		server.say("read")
	}
	asked := server.usage().cpu - before
	cancel()
	clients.Wait()
	fmt.Printf("\n%d clients that report their load take %.1f %% of a processor while nobody asks, and %.1f %% while somebody does.\n",
		reporting, 100*idle.Seconds()/reportingTime.Seconds(), 100*asked.Seconds()/reportingTime.Seconds())
}

// report is a client that reports as often as it is told, as an Envoy does.
func report(ctx context.Context, client int, address string, creds credentials.TransportCredentials, connected func()) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	must(err)
	defer func() { _ = conn.Close() }()
	stream, err := loadstats.NewLoadReportingServiceClient(conn).StreamLoadStats(ctx)
	must(err)
	must(stream.Send(&loadstats.LoadStatsRequest{Node: &core.Node{
		Id: fmt.Sprintf("client-%d", client), UserAgentName: "envoy", ClientFeatures: []string{"envoy.lrs.supports_send_all_clusters"},
	}}))
	told := make(chan time.Duration, 16)
	go func() {
		defer close(told)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			told <- answer.GetLoadReportingInterval().AsDuration()
		}
	}()
	interval := <-told
	connected()
	for {
		select {
		case next, more := <-told:
			if !more {
				return
			}
			interval = next
		case <-time.After(interval):
			_ = stream.Send(&loadstats.LoadStatsRequest{ClusterStats: []*endpoint.ClusterStats{{
				ClusterName: "shop/0", LoadReportInterval: durationpb.New(interval),
				UpstreamLocalityStats: []*endpoint.UpstreamLocalityStats{{
					Locality: &core.Locality{Zone: "primary"}, TotalIssuedRequests: 10, TotalSuccessfulRequests: 10,
				}},
			}}})
		}
	}
}
