package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// lie is what is wrong with a source of counts.
type lie string

const (
	honest      lie = "honest"
	hanging     lie = "hangs"
	garbage     lie = "answers garbage"
	unavailable lie = "is unavailable"
	empty       lie = "knows of no calls"
	ahead       lie = "is an hour ahead"
	behind      lie = "is an hour behind"
	stopped     lie = "stands still"
	falling     lie = "counts backwards"
	negative    lie = "counts below zero"
)

// promServer is a Prometheus server that counts a hundred calls a second for each backend, none of which fails.
type promServer struct {
	url   string
	clock hastyClock

	mu      sync.Mutex
	is      lie
	stopped time.Time
	// over ends what hangs.
	over chan struct{}
}

func (w *world) startPrometheus() *promServer {
	w.Helper()
	p := &promServer{clock: w.clock, is: honest, over: make(chan struct{})}
	server := httptest.NewServer(p)
	p.url = server.URL
	w.Cleanup(func() { close(p.over); server.Close() })
	return p
}

func (p *promServer) set(is lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.is, p.stopped = is, p.clock.Now()
}

// ServeHTTP implements http.Handler.
func (p *promServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	is, now := p.is, p.clock.Now()
	if is == stopped {
		now = p.stopped
	}
	p.mu.Unlock()
	count := float64(now.Unix()%1_000_000) * 100
	switch is {
	case hanging:
		select {
		case <-r.Context().Done():
		case <-p.over:
		}
		return
	case garbage:
		_, _ = fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[{"value":["x",{}]}]`)
		return
	case unavailable:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case ahead:
		now = now.Add(time.Hour)
	case behind:
		now = now.Add(-time.Hour)
	case falling:
		count = 1e9 - count
	case negative:
		count = -count
	}
	at := float64(now.UnixMilli()) / 1000
	query := r.FormValue("query")
	if query == "time()" {
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%f,"%f"]}}`, at, at)
		return
	}
	sample := fmt.Sprintf(`{"metric":{},"value":[%f,"%.0f"]}`, at, count)
	if strings.HasPrefix(query, "errors") {
		sample = fmt.Sprintf(`{"metric":{},"value":[%f,"0"]}`, at)
	}
	if is == empty {
		sample = ""
	}
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, sample)
}
