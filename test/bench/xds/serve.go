package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/headgate/headgate/xds/server"
)

// serve is the server's process: it serves until its standard input ends, and does what is said there:
//
//	change SERVICE REVISION   changes a resource
//	usage                     collects garbage, and prints processor time, resident memory and heap
//	read                      reads what clients report of a service, as a decision does each second
//
// Each line is answered by one.
func serve(kind kind, services int, files server.Files) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	must(err)
	subject := kind.make(ctx, services)
	if kind.serve == nil {
		must(listen(subject, listener, files))
	} else {
		must(kind.serve(ctx, subject, listener, files))
	}
	fmt.Println(listener.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "change":
			service, _ := strconv.Atoi(words[1])
			revision, _ := strconv.Atoi(words[2])
			subject.change(service, revision)
			fmt.Println("changed")
		case "read":
			subject.loads.Read("shop", "0")
			fmt.Println("read")
		case "usage":
			used := processorTime()
			// The first collection leaves what pools hold.
			debug.FreeOSMemory()
			debug.FreeOSMemory()
			fmt.Println(int64(used), resident(), heap())
		}
	}
}

// listen has go-control-plane's server on mutual TLS, as it comes.
func listen(subject subject, listener net.Listener, files server.Files) error {
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return err
	}
	authorities, err := os.ReadFile(files.ClientCAs)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorities)
	s := grpc.NewServer(grpc.MaxConcurrentStreams(1<<20), grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	})))
	discovery.RegisterAggregatedDiscoveryServiceServer(s, subject.server)
	go func() { must(s.Serve(listener)) }()
	return nil
}

// unlimited is for clients that all have one name.
var unlimited = server.Limits{
	Memory: 8 << 30, MemoryPerIdentity: 8 << 30, Connections: 1 << 20, ConnectionsPerIdentity: 1 << 20,
	Streams: 1 << 20, StreamsPerIdentity: 1 << 20, StreamsPerNamespace: 1 << 20, Handshakes: 1 << 20,
}

// serveHeadgate has Headgate's own, as the product runs it.
func serveHeadgate(ctx context.Context, subject subject, listener net.Listener, files server.Files) error {
	s, err := server.New(server.Config{
		Cache: subject.cache, Listener: listener, Files: files,
		Register: subject.loads.Register,
		Limits:   unlimited,
	})
	if err != nil {
		return err
	}
	go func() { must(s.Start(ctx)) }()
	return nil
}

// resident is how much memory the process has, in bytes.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	must(err)
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	must(err)
	return pages * int64(os.Getpagesize())
}
