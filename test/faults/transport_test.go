package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fate is what becomes of a request.
type fate struct {
	what outcome
	// code is the status of a refusal.
	code int
}

type outcome string

const (
	// passes: nothing happens to it.
	passes outcome = ""
	// cutBefore: it does not reach the API server, and no later one does.
	cutBefore outcome = "cut before it is sent"
	// cutAfter: the API server does what it asks for; its answer is lost, and no later request gets through.
	cutAfter outcome = "cut after it was applied"
	// answerLost: the API server does what it asks for; only the answer is lost.
	answerLost outcome = "answer lost"
	// refused: it is answered with a status, and the API server does not see it.
	refused outcome = "refused"
	// broken: it does not reach the API server.
	broken outcome = "broken"
)

var errCut = errors.New("connection reset by the test")

// transport stands between an operator and the API server.
type transport struct {
	next http.RoundTripper

	mu sync.Mutex
	// rule decides the fate of each request, if there is one.
	rule func(request) fate
	// writes are those that have got through, kinds which there were of all requests.
	writes []request
	kinds  map[kindOfRequest]int
	// hits are how many had another fate than to pass.
	hits int
	cut  bool
	// watches are open ones, by resource, and held those resources whose watches bring nothing.
	watches map[string][]*heldBody
	held    map[string]bool
	// blind: a resource can be neither listed nor watched.
	blind bool
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	what := requestOf(r)
	fate := t.fateOf(what)
	switch fate.what {
	case cutBefore, broken:
		closeBody(r)
		return nil, errCut
	case refused:
		closeBody(r)
		return refusal(r, fate.code), nil
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return response, err
	}
	if fate.what == cutAfter || fate.what == answerLost {
		return nil, errors.Join(errCut, response.Body.Close())
	}
	if what.verb == "watch" {
		t.keepWatch(what.resource, response)
	}
	return response, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func (t *transport) fateOf(r request) fate {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return fate{what: cutBefore}
	}
	if r.resource == "" {
		return fate{}
	}
	if t.kinds == nil {
		t.kinds = map[kindOfRequest]int{}
	}
	t.kinds[r.kindOfRequest()]++
	var out fate
	if t.rule != nil {
		out = t.rule(r)
	}
	if out.what != passes {
		t.hits++
		done.add("faults injected", 1)
	}
	t.cut = out.what == cutBefore || out.what == cutAfter
	if r.isWrite() && slices.Contains([]outcome{passes, cutAfter, answerLost}, out.what) {
		t.writes = append(t.writes, r)
	}
	return out
}

// disturb has a rule decide from now on; nil: everything passes.
func (t *transport) disturb(rule func(request) fate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rule, t.hits, t.blind = rule, 0, false
}

// nthWrite gives the write with this number, counted from 1, a fate.
func nthWrite(n int, what outcome) func(request) fate {
	seen := 0
	return func(r request) fate {
		if !r.isWrite() {
			return fate{}
		}
		if seen++; seen == n {
			return fate{what: what}
		}
		return fate{}
	}
}

// firstOf gives the first requests of a kind a fate; -1: all.
func firstOf(kind kindOfRequest, n int, what fate) func(request) fate {
	return func(r request) fate {
		if r.kindOfRequest() != kind || n == 0 {
			return fate{}
		}
		n--
		return what
	}
}

// isBehind says whether there is something of which the operator hears nothing.
func (t *transport) isBehind() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.blind || len(t.held) > 0
}

func (t *transport) isCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

func (t *transport) hitsSoFar() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hits
}

func (t *transport) writesSoFar() []request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.writes)
}

func (t *transport) kindsSoFar() map[kindOfRequest]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.kinds)
}

// refusal is how the API server says no.
func refusal(r *http.Request, code int) *http.Response {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: reasons[code], Code: int32(code), Message: "refused by the test",
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if code == http.StatusTooManyRequests {
		header.Set("Retry-After", "1")
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	}
	body, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: code, Status: fmt.Sprint(code), Request: r, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// reasons are those of statuses.
var reasons = map[int]metav1.StatusReason{
	http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusConflict: metav1.StatusReasonConflict,
	http.StatusUnprocessableEntity: metav1.StatusReasonInvalid, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError,
}
