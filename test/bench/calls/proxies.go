package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// endpoints is how many each backend has.
const endpoints = 3

// cluster is the name of the cluster of a service.
func cluster(service int) string {
	return fmt.Sprintf("grpcroute/%s/%s/rule/0", namespace(service), name(service))
}

func namespace(service int) string { return fmt.Sprint("tenant-", service%40) }
func name(service int) string      { return fmt.Sprint("service-", service) }

// address is that of an endpoint: those of the primary come first.
func address(service, endpoint int) string {
	return fmt.Sprintf("10.%d.%d.%d:50051", service/250, service%250, endpoint+1)
}

// serve shows the statistics of proxies, prints where, and ends when its standard input does.
func serve(proxies, services int) error {
	began := time.Now()
	for range proxies {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(listener.Addr())
		go func() {
			server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				writePage(w, services, time.Since(began).Seconds())
			})}
			_ = server.Serve(listener)
		}()
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return nil
}

// writePage writes what a proxy says after so many seconds, in which each endpoint of a primary has had 30 calls a second.
func writePage(w http.ResponseWriter, services int, seconds float64) {
	out := bufio.NewWriterSize(w, 1<<16)
	defer func() { _ = out.Flush() }()
	for _, outcome := range []string{"error", "success"} {
		fmt.Fprintf(out, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", outcome)
		for s := range services {
			for e := range 2 * endpoints {
				value := 0
				if e < endpoints {
					value = int(30 * seconds)
				}
				if outcome == "error" {
					value /= 100
				}
				fmt.Fprintf(out, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n", outcome, cluster(s), address(s, e), value)
			}
		}
	}
	fmt.Fprintln(out, "# TYPE envoy_cluster_upstream_rq_total counter")
	for s := range services {
		fmt.Fprintf(out, "envoy_cluster_upstream_rq_total{envoy_cluster_name=%q} %d\n", cluster(s), int(90*seconds))
	}
	// Envoy flushes its statistics every five seconds.
	fmt.Fprintf(out, "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} %d\n", int(seconds)/5*5)
}
