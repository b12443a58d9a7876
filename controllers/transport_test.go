package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// transport stands between an operator and the API server: it notes writes, lets some fail, and
// cuts the connection.
type transport struct {
	next http.RoundTripper
	// standingBy: the operator does not lead.
	standingBy bool

	mu     sync.Mutex
	writes []string
	// gets are the paths of reads past the caches.
	gets []string
	// cutAfter: when so many writes have been answered, nothing goes through any more; 0: never.
	cutAfter int
	cut      bool
	// away: nothing goes through for now.
	away bool
	// failOnce: every different write fails the first time with this status.
	failOnce int
	failed   map[string]bool
	// blindTo: this resource can neither be listed nor watched, if it is not empty.
	blindTo string
	// catching: writes of the status by this field manager do not arrive, if it is not empty; caught are those.
	catching string
	caught   []*http.Request
	// watches are the answers to open ones, by resource.
	watches map[string][]io.Closer
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !isWrite(request) {
		if t.isCut() || t.isAway() {
			return nil, errors.New("the connection is cut")
		}
		return t.read(request)
	}
	name := request.Method + " " + request.URL.Path
	if refuse, err := t.before(name); refuse || err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return t.refusal(request), err
	}
	if t.catch(request) {
		return nil, errors.New("the connection is broken")
	}
	response, err := t.next.RoundTrip(request)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cutAfter > 0 && len(t.writes) >= t.cutAfter {
		t.cut = true
	}
	return response, err
}

// catch keeps a write that is not to arrive now.
func (t *transport) catch(request *http.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.catching == "" || request.URL.Query().Get("fieldManager") != t.catching || path.Base(request.URL.Path) != "status" {
		return false
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(err)
	}
	_ = request.Body.Close()
	late := request.Clone(context.Background())
	late.Body = io.NopCloser(bytes.NewReader(body))
	t.caught = append(t.caught, late)
	return true
}

// release sends the last write that was caught, and returns how it was answered.
func (t *transport) release() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	response, err := t.next.RoundTrip(t.caught[len(t.caught)-1])
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// catchStatusOf keeps the writes of the status by a field manager from arriving.
func (t *transport) catchStatusOf(manager string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.catching = manager
}

// hasCaught says how many writes have been kept.
func (t *transport) hasCaught() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.caught)
}

// read lets a read through that is not of many objects of what the operator is blind to.
func (t *transport) read(request *http.Request) (*http.Response, error) {
	resource := path.Base(request.URL.Path)
	response, err := t.next.RoundTrip(request)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		return response, err
	}
	if t.blindTo == resource {
		return nil, errors.Join(errors.New("the connection is broken"), response.Body.Close())
	}
	if request.URL.Query().Get("watch") == "" {
		t.gets = append(t.gets, request.URL.Path)
		return response, nil
	}
	if t.watches == nil {
		t.watches = map[string][]io.Closer{}
	}
	t.watches[resource] = append(t.watches[resource], response.Body)
	return response, nil
}

// outageTime is how long an API server is away, by the clock of a shop.
const outageTime = 20 * time.Second

// outage has the API server away, watches included, or back.
func (t *transport) outage(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = on
	for resource, watches := range t.watches {
		for _, watch := range watches {
			_ = watch.Close()
		}
		delete(t.watches, resource)
	}
}

// blind breaks lists and watches of a resource, until it is called for another one.
func (t *transport) blind(resource string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blindTo = resource
	for _, watch := range t.watches[resource] {
		_ = watch.Close()
	}
	delete(t.watches, resource)
}

func (t *transport) before(name string) (refuse bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut || t.away || (t.cutAfter > 0 && len(t.writes) >= t.cutAfter) {
		return false, errors.New("the connection is cut")
	}
	if t.failOnce != 0 && !t.failed[name] {
		if t.failed == nil {
			t.failed = map[string]bool{}
		}
		t.failed[name] = true
		return true, nil
	}
	t.writes = append(t.writes, name)
	return false, nil
}

func (t *transport) refusal(request *http.Request) *http.Response {
	reason := metav1.StatusReasonInternalError
	if t.failOnce == http.StatusConflict {
		reason = metav1.StatusReasonConflict
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(t.failOnce), Message: "refused by the test",
	})
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: t.failOnce, Status: fmt.Sprint(t.failOnce), Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// isWrite leaves out events, which say what was done and do nothing, and questions what a write would come to.
func isWrite(request *http.Request) bool {
	return request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events") && !request.URL.Query().Has("dryRun")
}

func (t *transport) isCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

func (t *transport) isAway() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.away
}

func (t *transport) isBlind() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.blindTo != ""
}

// gotten are the reads so far.
func (t *transport) gotten() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.gets)
}

// written are the writes so far.
func (t *transport) written() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.writes)
}
