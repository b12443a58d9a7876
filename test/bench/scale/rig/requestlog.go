package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"sync"
	"time"
)

// lookInterval is how often is looked for what is waited for.
const lookInterval = 100 * time.Millisecond

// RequestLog counts the requests in an audit log.
type RequestLog struct {
	path string

	mu sync.Mutex
	// read is how much of the log has been read.
	read   int64
	counts Requests
	last   time.Time
}

func newRequestLog(path string) *RequestLog { return &RequestLog{path: path, counts: Requests{}} }

// auditEvent is what is read of an entry (audit.k8s.io/v1 Event).
type auditEvent struct {
	Stage          string    `json:"stage"`
	StageTimestamp time.Time `json:"stageTimestamp"`
	Verb           string    `json:"verb"`
	ObjectRef      *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func (e auditEvent) request() Request {
	out := Request{Verb: e.Verb, Resource: "(discovery)"}
	if e.ObjectRef != nil {
		out.Resource = e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			out.Resource += "/" + e.ObjectRef.Subresource
		}
	}
	if e.ResponseStatus != nil && e.ResponseStatus.Code >= http.StatusBadRequest {
		out.Code = e.ResponseStatus.Code
	}
	return out
}

// counts says whether an entry counts: what is finished, and of watches those that start.
func (e auditEvent) counts() bool {
	if e.Verb == "watch" {
		return e.Stage == "ResponseStarted"
	}
	return e.Stage == "ResponseComplete" || e.Stage == "Panic"
}

// Counts are the requests that have been finished so far.
func (l *RequestLog) Counts() (Requests, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.readOn()
	return maps.Clone(l.counts), err
}

// readOn reads the entries that are complete and have not been read.
func (l *RequestLog) readOn() error {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no request yet
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(l.read, io.SeekStart); err != nil {
		return err
	}
	for lines := bufio.NewReaderSize(file, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without an end is still being written
		}
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		l.read += int64(len(line))
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("read the audit log: %w: %s", err, line)
		}
		if event.counts() {
			l.counts[event.request()]++
			if event.Verb != "watch" {
				l.last = event.StageTimestamp
			}
		}
	}
}

// UntilQuiet waits until the operator has asked for nothing for a while, and returns the time of its last request. (Watches
// that are renewed are no work.)
func (l *RequestLog) UntilQuiet(ctx context.Context, quiet time.Duration) (last time.Time, err error) {
	began := time.Now()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		if _, err := l.Counts(); err != nil {
			return time.Time{}, err
		}
		l.mu.Lock()
		last = l.last
		l.mu.Unlock()
		if time.Since(last) >= quiet && time.Since(began) >= quiet {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("the operator does not come to rest: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
