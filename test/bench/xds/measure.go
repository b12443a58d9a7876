package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// row is what was measured of one cache at one size.
type row struct {
	changes      int
	p50, p99     time.Duration // from the change to the last client
	cpu          time.Duration // of the process, per change, until it is quiet again
	bytes        int64         // of all responses, per change
	heap         int64         // per client
	reconnect    time.Duration // of all clients at once, until each has everything
	reconnectCPU time.Duration
}

const (
	leastChanges = 3
	mostChanges  = 200
)

func measure(k kind, delta bool, s size, budget time.Duration) row {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	subject := k.make(ctx, s.services)
	names := make([]string, s.used)
	for i := range names {
		names[i] = nameOf(i)
	}
	r := &receipts{}
	var out row

	before := heap()
	disconnect := connect(ctx, subject, delta, s, names, r)
	out.heap = (heap() - before) / int64(s.clients)

	whole := resourcesPerChange(k, delta, s)
	var latencies []time.Duration
	var cpu time.Duration
	bytes := r.bytes.Load()
	begun := time.Now()
	for len(latencies) < leastChanges || len(latencies) < mostChanges && time.Since(begun) < budget {
		r.expect(s.clients * whole)
		used, start := processorTime(), time.Now()
		subject.change(0, len(latencies)+1)
		<-r.done
		latencies = append(latencies, time.Since(start))
		settle(r)
		cpu += processorTime() - used
		pause() // changes that go on and on are sent together, and a single one is looked at
	}
	out.changes = len(latencies)
	slices.Sort(latencies)
	out.p50, out.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	out.cpu = cpu / time.Duration(out.changes)
	out.bytes = (r.bytes.Load() - bytes) / int64(out.changes)

	disconnect()
	used, start := processorTime(), time.Now()
	disconnect = connect(ctx, subject, delta, s, names, r)
	out.reconnect, out.reconnectCPU = time.Since(start), processorTime()-used
	disconnect()
	return out
}

// resourcesPerChange is how many resources a client is sent for one that changed. In state-of-the-world xDS SnapshotCache
// sends all that the client asked for.
func resourcesPerChange(k kind, delta bool, s size) int {
	if k.name == "SnapshotCache" && !delta {
		return s.used
	}
	return 1
}

// connect starts all clients and waits until each has everything and has said so.
func connect(ctx context.Context, subject subject, delta bool, s size, names []string, r *receipts) (disconnect func()) {
	ctx, cancel := context.WithCancel(identified(ctx))
	var clients sync.WaitGroup
	r.requests.Store(0)
	r.expect(s.clients * s.used)
	for range s.clients {
		clients.Go(func() { run(ctx, subject.server, delta, names, r) })
	}
	<-r.done
	settle(r)
	return func() {
		cancel()
		clients.Wait()
	}
}

// settle waits until the server has taken all answers and has nothing left to do.
func settle(r *receipts) {
	for r.requests.Load() > 0 {
		runtime.Gosched()
	}
	const pause, quiet = time.Millisecond, 200 * time.Microsecond
	for {
		used := processorTime()
		time.Sleep(pause)
		if processorTime()-used < quiet {
			return
		}
	}
}

// processorTime is what the process has used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
