package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// WorkloadConfig is what a Workload source needs. Zero limits get defaults.
type WorkloadConfig struct {
	// Path is where the pods show their metrics. The default is /metrics.
	Path string
	// Calls, CodeLabel and Latencies are the names of the counter of calls, of its label with the gRPC status code, and of
	// the histogram of latencies in seconds. The defaults are those of the field's conventions.
	Calls, CodeLabel, Latencies string
	// Codes are the status codes that count as errors.
	Codes Codes
	// Client asks the pods. Required.
	Client *http.Client
	// Clock says when. Required.
	Clock clock.PassiveClock
	// Timeout bounds the answer of one pod, and LookTimeout a whole look. The defaults are 2 s and 5 s.
	Timeout, LookTimeout time.Duration
	// Parallel is how many pods are asked at the same time. The default is 16.
	Parallel int
	// MaxBytes bounds the answer of one pod. The default is 4 MiB.
	MaxBytes int64
	// Bound is how long a reading may be used, and for how long a ready pod may be silent. The default is 15 s.
	Bound time.Duration
	// MaxGap is how long ago the last look at a pod may be for its counts to be used. The default is Bound.
	MaxGap time.Duration
}

func (c *WorkloadConfig) setDefaults() {
	c.Path = cmp.Or(c.Path, "/metrics")
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.LookTimeout = cmp.Or(c.LookTimeout, 5*time.Second)
	c.Parallel = cmp.Or(c.Parallel, 16)
	c.MaxBytes = cmp.Or(c.MaxBytes, 4<<20)
	c.Bound = cmp.Or(c.Bound, 15*time.Second)
	c.MaxGap = cmp.Or(c.MaxGap, c.Bound)
}

func (c *WorkloadConfig) names() metricNames {
	return metricNames{calls: c.Calls, codeLabel: c.CodeLabel, latencies: c.Latencies}
}

// Workload counts calls by the metrics that the pods of the backends show themselves: what they answered, whoever called, and with which
// status code. What never reached a pod is not counted.
//
// Calls that ended with Canceled were given up by their callers, unless the codes name it as an error. A server whose caller's deadline
// has passed may as well say DeadlineExceeded. What has begun is known where each pod that has calls shows the counter of it that belongs to
// that of calls: grpc_server_started_total beside grpc_server_handled_total.
//
// All backends are counted over the same time. A pod that does not answer once is counted at its next answer; a ready one that is
// silent for longer than Bound leaves everything unknown, because what it does not say could be the part that matters.
type Workload struct {
	health

	config WorkloadConfig

	mu    sync.Mutex
	looks int
	last  time.Time
	// since is from when on calls were counted and not delivered; zero: there was no look.
	since   time.Time
	pods    map[string]*podLedger
	pending map[string]*podGrowth
}

var _ Source = (*Workload)(nil)

// NewWorkload makes the source for one ExposedService.
func NewWorkload(config WorkloadConfig) *Workload {
	config.setDefaults()
	config.Client = noRedirects(config.Client)
	return &Workload{config: config, pods: map[string]*podLedger{}, pending: map[string]*podGrowth{}}
}

// Name implements Source.
func (*Workload) Name() string { return "Workload" }

// Read implements Source.
func (w *Workload) Read(ctx context.Context, query Query) (Reading, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	now := w.config.Clock.Now()
	if now.Before(w.last) {
		// What lies between the looks cannot be told, so everything starts anew.
		w.forgetAll()
	}
	w.last = now
	w.looks++

	look := newPodLook(query, now)
	pages := w.ask(ctx, look.pods)
	for i, asked := range look.pods {
		w.take(look, asked, pages[i])
	}
	w.forget(look)
	reading := Reading{
		Source: w.Name(), Taken: now, Bound: w.config.Bound, Asked: len(look.pods), Answered: look.answered, Notes: look.notes,
	}
	reading.Backends = w.conclude(look)
	return reading, w.report(&reading, look)
}

func (w *Workload) forgetAll() {
	clear(w.pods)
	clear(w.pending)
	w.since = time.Time{}
}

// report keeps the health, and says whether the source as a whole failed.
func (w *Workload) report(reading *Reading, look *podLook) error {
	if reading.Answered > 0 {
		complaint := ""
		if len(look.notes) > 0 {
			complaint = fmt.Sprintf("%d of %d pods: %s", reading.Asked-reading.Answered, reading.Asked, look.notes[0])
		}
		w.succeeded(reading.Taken, complaint)
		return nil
	}
	message := "there are no pods to ask"
	if len(look.notes) > 0 {
		message = look.notes[0]
	}
	w.failed(message)
	return errors.New(message)
}

type podAnswer struct {
	page    *workloadPage
	trouble *trouble
}

// ask asks all pods, each once. The order of asking changes from look to look, so that slow ones do not always keep the same others
// waiting.
func (w *Workload) ask(ctx context.Context, pods []podOf) []podAnswer {
	return askAll(ctx, w.config.LookTimeout, w.config.Parallel, len(pods), w.looks, func(ctx context.Context, i int) podAnswer {
		return w.askOne(ctx, pods[i].pod)
	}, podAnswer{trouble: notAsked()})
}

func (w *Workload) askOne(ctx context.Context, pod Pod) podAnswer {
	address := url.URL{Scheme: "http", Host: pod.Address.String(), Path: w.config.Path}
	var page *workloadPage
	trouble := fetch(ctx, w.config.Client, address.String(), w.config.Timeout, w.config.MaxBytes, func(from io.Reader) error {
		body, err := io.ReadAll(from)
		if err == nil {
			page, err = parseWorkload(body, w.config.names(), w.config.Codes)
		}
		return err
	})
	return podAnswer{page: page, trouble: trouble}
}

// take counts what a pod says.
func (w *Workload) take(look *podLook, asked podOf, answer podAnswer) {
	l := w.pods[asked.pod.ID]
	if l == nil {
		l = &podLedger{asked: look.now}
		w.pods[asked.pod.ID] = l
	}
	if answer.trouble != nil {
		look.note("pod " + asked.pod.Name + ": " + answer.trouble.message)
		heard := l.read
		if heard.IsZero() {
			heard = l.asked
		}
		if asked.pod.Ready && (look.now.Sub(heard) > w.config.Bound || w.since.IsZero()) {
			look.blame(answer.trouble.why, "pod "+asked.pod.Name+" of "+asked.backend+": "+answer.trouble.message)
		}
		return
	}
	look.answered++
	look.learn(answer.page)
	if !l.read.IsZero() && look.now.Sub(l.read) <= w.config.MaxGap {
		pending := w.pending[asked.backend]
		if pending == nil {
			pending = &podGrowth{}
			w.pending[asked.backend] = pending
		}
		pending.add(asked.pod.ID, l.grow(answer.page))
	}
	if answer.page.hasBegun {
		look.inFlight[asked.backend] += answer.page.inFlight()
	}
	l.page, l.read = answer.page, look.now
}

// forget drops pods that have not been asked for long.
func (w *Workload) forget(look *podLook) {
	asked := map[string]bool{}
	for _, of := range look.pods {
		asked[of.pod.ID] = true
	}
	for id, l := range w.pods {
		if !asked[id] && look.now.Sub(l.read) > retention {
			delete(w.pods, id)
		}
	}
}

// conclude turns what was counted into what is known of each backend.
func (w *Workload) conclude(look *podLook) map[string]Counts {
	trouble := look.verdict()
	gap := look.now.Sub(w.since)
	switch {
	case trouble != nil:
		return allUnknown(look.query, trouble.why, trouble.message)
	case w.since.IsZero():
		w.restart(look.now)
		return allUnknown(look.query, UnknownFirstLook, firstLook)
	case gap > w.config.MaxGap:
		w.restart(look.now)
		return allUnknown(look.query, UnknownGap, fmt.Sprintf("the last look was %s ago: calls are counted from now on", gap.Round(time.Second)))
	}
	out := make(map[string]Counts, len(look.query.Backends))
	for _, backend := range look.query.Backends {
		counted := w.pending[backend.Name]
		if counted == nil {
			counted = &podGrowth{}
		}
		counts := Counts{
			Calls: wholeCalls(counted.calls), Errors: wholeCalls(counted.errors), Start: w.since, End: look.now,
			Cancelled: wholeCalls(counted.cancelled), TellsCancelled: true, Pods: podsOf(counted.pods),
		}
		if counts.TellsBegun = look.tellsBegun(); counts.TellsBegun {
			counts.Begun, counts.InFlight = wholeCalls(counted.begun), wholeCalls(look.inFlight[backend.Name])
		}
		if counts.Latencies = counted.latencies; !look.hasLatencies {
			counts.Latencies, counts.NoLatencies = nil, "no pod shows a histogram "+look.names.latencies+" on its page of metrics"
		}
		out[backend.Name] = counts
	}
	w.restart(look.now)
	return out
}

// restart begins a new stretch of time.
func (w *Workload) restart(now time.Time) {
	clear(w.pending)
	w.since = now
}
