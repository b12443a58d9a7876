package faults

import (
	"io"
	"net/http"
	"sync"
)

// heldBody is the answer to a watch, which can be held back.
type heldBody struct {
	io.ReadCloser
	mu   sync.Mutex
	open chan struct{}
	once sync.Once
	over chan struct{}
}

func newHeldBody(body io.ReadCloser) *heldBody {
	open := make(chan struct{})
	close(open)
	return &heldBody{ReadCloser: body, open: open, over: make(chan struct{})}
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	select {
	case <-open:
	case <-b.over:
	}
	return n, err
}

// Close implements io.Closer.
func (b *heldBody) Close() error {
	b.once.Do(func() { close(b.over) })
	return b.ReadCloser.Close()
}

func (b *heldBody) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = make(chan struct{})
}

func (b *heldBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.open:
	default:
		close(b.open)
	}
}

func (t *transport) keepWatch(resource string, response *http.Response) {
	body := newHeldBody(response.Body)
	response.Body = body
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watches == nil {
		t.watches = map[string][]*heldBody{}
	}
	if t.held[resource] {
		body.hold()
	}
	t.watches[resource] = append(t.watches[resource], body)
}

// holdWatches lets watches of a resource bring nothing until they are released.
func (t *transport) holdWatches(resource string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = map[string]bool{resource: true}
	for _, watch := range t.watches[resource] {
		watch.hold()
	}
	done.add("faults injected", 1)
}

func (t *transport) releaseWatches() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = nil
	for _, watches := range t.watches {
		for _, watch := range watches {
			watch.release()
		}
	}
}

// breakWatches closes the watches of a resource, and lets it neither be listed nor watched until another rule is set.
func (t *transport) breakWatches(resource string) {
	t.disturb(func(r request) fate {
		if r.resource == resource && (r.verb == "list" || r.verb == "watch") {
			return fate{what: broken}
		}
		return fate{}
	})
	t.mu.Lock()
	t.blind = true
	watches := t.watches[resource]
	delete(t.watches, resource)
	t.mu.Unlock()
	for _, watch := range watches {
		_ = watch.Close()
	}
}
