package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/signals"
)

// warmUp passes before anything is measured.
const warmUp = 3 * time.Second

// row is what was measured: by the second, but for the share of one processor, the size of a page and the heap in the end.
type row struct{ page, scrapes, looks, wakes, processor, allocated, heap float64 }

func numbers(list string) []int {
	var out []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		exitOn(err)
		out = append(out, n)
	}
	return out
}

// counts are told of what happens.
type counts struct{ scrapes, failed, looks, wakes, bytes atomic.Int64 }

func (c *counts) ObserveLook(types.NamespacedName, signals.Source, error) { c.looks.Add(1) }
func (c *counts) ForgetLooks(types.NamespacedName)                        {}

func (c *counts) scraped(err error) {
	c.scrapes.Add(1)
	if err != nil {
		c.failed.Add(1)
	}
}

// RoundTrip implements http.RoundTripper.
func (c *counts) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		response.Body = counted{response.Body, &c.bytes}
	}
	return response, err
}

func measure(ctx context.Context, services, proxies int, budget time.Duration) (row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gate, stop, err := startProxies(proxies, services)
	if err != nil {
		return row{}, err
	}
	defer stop()
	var seen counts
	woken := make(chan types.NamespacedName, services)
	web := &http.Client{Transport: &seen}
	counter := calls.NewCounter(calls.Config{
		Clock: clock.RealClock{}, HTTP: web, Metrics: &seen, Asked: calls.ErrorSource, Wake: func(names ...types.NamespacedName) {
			for _, name := range names {
				woken <- name
			}
		},
		Scraper: signals.NewScraper(signals.ScraperConfig{Client: web, Clock: clock.RealClock{}, Scraped: seen.scraped}),
		Secret:  func(context.Context, string, *corev1.SecretKeySelector) ([]byte, error) { return nil, nil },
	})
	all := map[types.NamespacedName]*v1alpha1.ExposedService{}
	for i := range services {
		exs := exposedService(i)
		all[client.ObjectKeyFromObject(exs)] = exs
		counter.Watch(exs, func() signals.Query { return query(i, gate) })
		decide(counter, exs)
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case name := <-woken:
				seen.wakes.Add(1)
				decide(counter, all[name])
			}
		}
	}()
	go func() { _ = counter.Start(ctx) }()
	time.Sleep(warmUp)
	return sample(&seen, budget)
}

func sample(seen *counts, budget time.Duration) (row, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	scrapes, looks, wakes, bytes, used, began := seen.scrapes.Load(), seen.looks.Load(), seen.wakes.Load(), seen.bytes.Load(), processor(), time.Now()
	time.Sleep(budget)
	seconds := time.Since(began).Seconds()
	out := row{processor: (processor() - used).Seconds() / seconds}
	runtime.ReadMemStats(&after)
	scrapes = seen.scrapes.Load() - scrapes
	if scrapes == 0 || seen.failed.Load() > 0 {
		return out, fmt.Errorf("%d answers of proxies, %d failed", scrapes, seen.failed.Load())
	}
	out.page = float64(seen.bytes.Load()-bytes) / float64(scrapes)
	out.scrapes = float64(scrapes) / seconds
	out.looks = float64(seen.looks.Load()-looks) / seconds
	out.wakes = float64(seen.wakes.Load()-wakes) / seconds
	out.allocated = float64(after.TotalAlloc-before.TotalAlloc) / seconds
	runtime.GC()
	runtime.ReadMemStats(&after)
	out.heap = float64(after.HeapAlloc)
	return out, nil
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var used syscall.Rusage
	exitOn(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// startProxies starts a process with the proxies in it.
func startProxies(proxies, services int) ([]signals.Proxy, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	child := exec.Command(self, "-be-proxies", strconv.Itoa(services), "-proxies", strconv.Itoa(proxies))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	in, err := child.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := child.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		_ = in.Close()
		_ = child.Wait()
	}
	lines := bufio.NewScanner(out)
	var gate []signals.Proxy
	for len(gate) < proxies && lines.Scan() {
		at, err := netip.ParseAddrPort(lines.Text())
		if err != nil {
			stop()
			return nil, nil, err
		}
		id := fmt.Sprint("envoy-", len(gate))
		gate = append(gate, signals.Proxy{ID: id, Name: id, Address: at})
	}
	return gate, stop, nil
}

func exposedService(i int) *v1alpha1.ExposedService {
	return &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: name(i)},
		Spec: v1alpha1.ExposedServiceSpec{
			Gateway:  &v1alpha1.Gateway{},
			Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
			Failover: &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}},
		},
	}
}

func query(i int, gate []signals.Proxy) signals.Query {
	out := signals.Query{Namespace: namespace(i), Name: name(i), Cluster: cluster(i), Proxies: gate}
	for b, backend := range []string{"primary", "backup"} {
		of := signals.Backend{Name: backend}
		for e := range endpoints {
			of.Endpoints = append(of.Endpoints, signals.Endpoint{
				Addresses: []netip.AddrPort{netip.MustParseAddrPort(address(i, b*endpoints+e))}, Ready: true, Serving: true,
			})
		}
		out.Backends = append(out.Backends, of)
	}
	return out
}

// decide is what the reconciler does with counts of calls.
func decide(counter *calls.Counter, exs *v1alpha1.ExposedService) {
	now := time.Now()
	taken := counter.Take(client.ObjectKeyFromObject(exs))
	seen := failover.Observation{Backends: map[string]failover.BackendObservation{}}
	for _, b := range exs.Spec.Backends {
		of := failover.BackendObservation{Endpoints: failover.Endpoints{Counting: failover.Counted, Ready: endpoints, Total: endpoints, Time: now}}
		taken.Observe(b.Name, &of)
		seen.Backends[b.Name] = of
	}
	failover.Decide(&exs.Spec, exs.Status, seen, now).Apply(&exs.Status)
	counter.Decided(exs, seen)
}
