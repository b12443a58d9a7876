package load

import (
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// record is a Call in 40 bytes: a run of a million calls is to fit in memory.
type record struct {
	due, sendLag, latency time.Duration // due counts from the start of the run
	message, pod, version uint32        // indexes of the recording's tables
	code                  codes.Code
}

func (r record) ended() time.Duration { return r.due + r.latency }

func (r record) failed() bool { return r.code != codes.OK }

// mark is a label at a time, counted from the start of the run.
type mark struct {
	at    time.Duration
	label string
}

// recording is what was recorded up to some moment. Later recording does not change it.
type recording struct {
	start                    time.Time
	sent                     int
	calls                    []record // in the order in which they ended
	marks                    []mark
	messages, pods, versions []string
}

func (r recording) call(record record) Call {
	return Call{
		Due:     r.start.Add(record.due),
		SendLag: record.sendLag,
		Latency: record.latency,
		Code:    record.code,
		Message: r.messages[record.message],
		Pod:     r.pods[record.pod],
		Version: r.versions[record.version],
	}
}

// recorder collects calls as they end.
type recorder struct {
	start time.Time

	mu                       sync.Mutex
	sent                     int
	calls                    []record
	marks                    []mark
	messages, pods, versions table
}

func newRecorder(start time.Time) *recorder {
	return &recorder{start: start}
}

func (r *recorder) sending() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
}

func (r *recorder) record(call Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, record{
		due:     call.Due.Sub(r.start),
		sendLag: call.SendLag,
		latency: call.Latency,
		code:    call.Code,
		message: r.messages.index(call.Message),
		pod:     r.pods.index(call.Pod),
		version: r.versions.index(call.Version),
	})
}

func (r *recorder) mark(label string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, mark{at: at.Sub(r.start), label: label})
}

// recording shares its slices with the recorder, which only ever appends.
func (r *recorder) recording() recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return recording{
		start:    r.start,
		sent:     r.sent,
		calls:    r.calls,
		marks:    r.marks,
		messages: r.messages.values,
		pods:     r.pods.values,
		versions: r.versions.values,
	}
}

// table stores each distinct string once. Error messages may differ without end (they
// name ports), so what comes after maxValues is stored as a placeholder.
type table struct {
	values  []string
	indexes map[string]uint32
}

const (
	maxValues   = 10_000
	placeholder = "(one text too many to keep)"
)

func (t *table) index(value string) uint32 {
	if index, known := t.indexes[value]; known {
		return index
	}
	if len(t.values) >= maxValues && value != placeholder {
		return t.index(placeholder)
	}
	if t.indexes == nil {
		t.indexes = map[string]uint32{}
	}
	index := uint32(len(t.values))
	t.indexes[value] = index
	t.values = append(t.values, value)
	return index
}
