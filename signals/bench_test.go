package signals

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// BenchmarkLook is one look at one proxy with 200 endpoints, over a real socket.
func BenchmarkLook(b *testing.B) {
	counters := map[string]outcome{}
	backends := []Backend{{Name: "primary"}, {Name: "backup"}}
	for i := range 200 {
		address := fmt.Sprintf("10.0.%d.%d:50051", i/100, i%100+1)
		counters[address] = outcome{float64(1000 + i), float64(i)}
		backends[i%2].Endpoints = append(backends[i%2].Endpoints, endpointsAt(address)...)
	}
	begun := map[string]attempts{}
	for address, of := range counters {
		begun[address] = attempts{begun: int(of.success + of.failure)}
	}
	text := statistics(100, sharedCluster, counters) + attemptsOf(sharedCluster, begun)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	defer server.Close()
	clock := clocktesting.NewFakePassiveClock(noon)
	source := NewEnvoy(EnvoyConfig{
		Scraper: NewScraper(ScraperConfig{Client: server.Client(), Clock: clock}), Clock: clock, FrozenAfter: time.Hour,
	})
	query := Query{Cluster: sharedCluster, Backends: backends, Proxies: []Proxy{
		{ID: "a", Name: "a", Address: netip.MustParseAddrPort(server.Listener.Addr().String())},
	}}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := source.Read(context.Background(), query); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParsePage is the part of it that reads the page.
func BenchmarkParsePage(b *testing.B) {
	counters := map[string]outcome{}
	for i := range 200 {
		counters[fmt.Sprintf("10.0.%d.%d:50051", i/100, i%100+1)] = outcome{float64(1000 + i), float64(i)}
	}
	text := []byte(statistics(100, sharedCluster, counters))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsePage(text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
