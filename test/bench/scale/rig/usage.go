package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// pageTime bounds how long the operator may take for a page of its own.
	pageTime = 10 * time.Second
	// ticksPerSecond is in what /proc counts processor time: USER_HZ, which is 100 on every Linux that Go runs on.
	ticksPerSecond = 100
)

// Usage is what a process has used.
type Usage struct {
	// CPU is since its start.
	CPU time.Duration
	// RSS is the resident memory in bytes, and Peak the most that there has been. File is that part of RSS which the kernel can read
	// from the program's file again, and counts against no limit until it has to.
	RSS, Peak, File int64
}

// Usage is what the operator has used so far, by the kernel.
func (o *Operator) Usage() (Usage, error) {
	folder := fmt.Sprintf("/proc/%d/", o.command.Process.Pid)
	var out Usage
	stat, err := os.ReadFile(folder + "stat")
	if err != nil {
		return out, err
	}
	// After the name in parentheses, which may hold anything, comes field 3; utime and stime are 14 and 15 (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return out, fmt.Errorf("read %sstat: %w", folder, err)
		}
		out.CPU += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	status, err := os.ReadFile(folder + "status")
	if err != nil {
		return out, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &out.RSS
		case "VmHWM":
			into = &out.Peak
		case "RssFile":
			into = &out.File
		default:
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return out, fmt.Errorf("read %sstatus: %w", folder, err)
		}
		*into = kilobytes << 10
	}
	return out, nil
}

// Names of metrics without labels that every Go program with Prometheus' collector has.
const (
	metricGCCycles = "go_gc_cycles_total_gc_cycles_total"
	metricLiveHeap = "go_gc_heap_live_bytes"
)

// mostReads bounds how often LiveHeap reads the metrics.
const mostReads = 2000

// LiveHeap are the bytes that garbage collections from now on find in use: the least that some of them find. Nobody can ask the
// process for a collection, but each look at its metrics allocates, which brings one nearer, and is itself part of what is in use
// then. The first two do not count: one may have begun before, and the other follows on its heels.
func (o *Operator) LiveHeap(ctx context.Context, collections int) (float64, error) {
	values, err := o.values(ctx, metricGCCycles)
	if err != nil {
		return 0, err
	}
	begun, last, least := values[metricGCCycles]+1, values[metricGCCycles], math.Inf(1)
	for range mostReads {
		if values, err = o.values(ctx, metricGCCycles, metricLiveHeap); err != nil {
			return 0, err
		}
		if values[metricGCCycles] > last && values[metricGCCycles] > begun {
			least = min(least, values[metricLiveHeap])
			collections--
		}
		if last = values[metricGCCycles]; collections <= 0 {
			return least, nil
		}
	}
	return 0, fmt.Errorf("too few garbage collections in %d looks at the metrics", mostReads)
}

// values are those of metrics without labels.
func (o *Operator) values(ctx context.Context, names ...string) (map[string]float64, error) {
	page, err := o.get(ctx, o.metrics, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	out, err := metrics(page, names...)
	if err != nil {
		return nil, fmt.Errorf("read the operator's metrics: %w", err)
	}
	return out, nil
}

// metrics are the values of metrics without labels, of a page in Prometheus' text format.
func metrics(page string, names ...string) (map[string]float64, error) {
	out := map[string]float64{}
	for line := range strings.Lines(page) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.Contains(names, name) {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		out[name] = value
	}
	for _, name := range names {
		if _, found := out[name]; !found {
			return nil, fmt.Errorf("there is no metric %s", name)
		}
	}
	return out, nil
}

// read is the body of an answer.
func read(client *http.Client, request *http.Request) (string, error) {
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", request.URL, answer.Status)
	}
	return string(body), err
}
