package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// PrometheusConfig is what a Prometheus source needs. Zero limits get defaults.
type PrometheusConfig struct {
	// Address is the base URL of the server.
	Address string
	// Calls and Errors are the queries for counters of a backend's calls, and of those that failed, with
	// {{.Namespace}}, {{.Name}}, {{.Backend}} and {{.Service}} in them. The result is a number, or
	// series whose increases are added up. Series as they were scraped are best, for they can be told apart when
	// pods come and go; of a sum that fell nothing can be said.
	Calls, Errors string
	// Begun is the query for counters of a backend's calls that have begun, whether or not they have ended. How many are under way is
	// known where it and Calls are of the same targets, as they were scraped. Empty: nobody asks for them.
	Begun string
	// Latencies is the query for a histogram of the latencies of the calls, in seconds: the series _bucket of classic histograms, with
	// their label le, or native histograms. Empty: nobody asks for them.
	Latencies string
	// Sides says that the queries are about the two sides of a rollout: {{.Side}}, {{.Workload}} and {{.PodTemplateHash}} take the place of
	// {{.Backend}}.
	Sides bool
	// Only, if set, are the series that the queries read, whatever they ask for. A query that cannot be kept to them is not sent.
	Only *Only
	// Credentials gives the bearer token and the CA, at each look. Nil: none are needed. Its errors are shown
	// to people.
	Credentials func(ctx context.Context) (Credentials, error)
	// Client asks the server. Required. With a CA its transport must be nil or an *http.Transport.
	Client *http.Client
	// Clock says when. Required.
	Clock clock.PassiveClock
	// Timeout bounds a whole look. The default is 5 s.
	Timeout time.Duration
	// Parallel is how many queries are under way at the same time. The default is 4.
	Parallel int
	// MaxBytes bounds each answer. The default is 4 MiB.
	MaxBytes int64
	// Bound is how long a reading may be used, and how old the server's answers may be. The default is 30 s. How old the samples are that
	// an answer is made of, the server decides: it takes the last ones of five minutes, if they have not ended.
	Bound time.Duration
	// MaxSkew is how far ahead the server's clock may be. The default is 10 s.
	MaxSkew time.Duration
	// MaxGap is how long ago the last look may be for its counts to be used. The default is Bound: what failed
	// before that, while nobody could look, may have been over for long.
	MaxGap time.Duration
}

func (c *PrometheusConfig) setDefaults() {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Parallel = cmp.Or(c.Parallel, 4)
	c.MaxBytes = cmp.Or(c.MaxBytes, 4<<20)
	c.Bound = cmp.Or(c.Bound, 30*time.Second)
	c.MaxSkew = cmp.Or(c.MaxSkew, 10*time.Second)
	c.MaxGap = cmp.Or(c.MaxGap, c.Bound)
}

// Prometheus counts calls by what a Prometheus server answers. All queries of a look are for the
// same moment of the server's time.
type Prometheus struct {
	health

	config        PrometheusConfig
	calls, errors queryTemplate
	// begun and latencies are nil when nobody asks for them.
	begun, latencies *queryTemplate
	client           *prometheusClient

	mu   sync.Mutex
	last time.Time
	// asOf is what the server's clock said last, and askedAt when that was.
	asOf, askedAt time.Time
	backends      map[string]*tracker
	// bound are queries that are kept to Only, by what they were.
	bound map[string]boundQuery
}

// boundQuery is a query that is kept to some series, or why it cannot be.
type boundQuery struct {
	query string
	err   error
}

// mostBound is how many bound queries are kept: more than there are, unless names change.
const mostBound = 256

var _ Source = (*Prometheus)(nil)

// NewPrometheus makes the source for one ExposedService. The error is for the person who wrote the configuration.
func NewPrometheus(config PrometheusConfig) (*Prometheus, error) {
	config.setDefaults()
	may := ofBackends
	if config.Sides {
		may = ofSides
	}
	out := &Prometheus{config: config, backends: map[string]*tracker{}, bound: map[string]boundQuery{}}
	var err error
	if out.calls, err = parseQuery(config.Calls, may); err != nil {
		return nil, fmt.Errorf("calls: %w", err)
	}
	if out.errors, err = parseQuery(config.Errors, may); err != nil {
		return nil, fmt.Errorf("errors: %w", err)
	}
	if err := out.checkSides(); err != nil {
		return nil, err
	}
	if out.begun, err = parseOptional(config.Begun, may); err != nil {
		return nil, fmt.Errorf("begun: %w", err)
	}
	if out.latencies, err = parseOptional(config.Latencies, may); err != nil {
		return nil, fmt.Errorf("latencies: %w", err)
	}
	if out.client, err = newPrometheusClient(config.Address, config.Client, config.MaxBytes); err != nil {
		return nil, err
	}
	return out, nil
}

// checkSides refuses queries by which a version would be compared with itself, and always be as good.
func (p *Prometheus) checkSides() error {
	if !p.config.Sides {
		return nil
	}
	if err := p.calls.tellsSides(); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	if err := p.errors.tellsSides(); err != nil {
		return fmt.Errorf("errors: %w", err)
	}
	return nil
}

// parseOptional is nil for an empty query.
func parseOptional(text string, may placeholders) (*queryTemplate, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no query is no trouble
	}
	out, err := parseQuery(text, may)
	return &out, err
}

// Name implements Source.
func (*Prometheus) Name() string { return "Prometheus" }

// Read implements Source.
func (p *Prometheus) Read(ctx context.Context, query Query) (Reading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	now := p.config.Clock.Now()
	reading := Reading{Source: p.Name(), Taken: now, Bound: p.config.Bound, Asked: 1}
	if now.Before(p.last) {
		// What lies between the looks cannot be told, so everything starts anew.
		clear(p.backends)
	}
	p.last = now
	for name := range p.backends {
		if !slices.ContainsFunc(query.Backends, func(b Backend) bool { return b.Name == name }) {
			delete(p.backends, name)
		}
	}

	questions := p.questions(query)
	if len(questions) > 0 && !slices.ContainsFunc(questions, questionsOf.mayBeSent) {
		return p.unasked(reading, query, questions)
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	session, at, warnings, trouble := p.open(ctx, now)
	reading.Notes = warnings
	if trouble != nil {
		reading.Backends = allUnknown(query, trouble.why, trouble.message)
		p.failed(trouble.message)
		return reading, errors.New(trouble.message)
	}
	reading.Answered = 1
	reading.Backends = map[string]Counts{}
	complaint := ""
	for i, found := range p.ask(ctx, session, questions, at) {
		name := query.Backends[i].Name
		if found.trouble != nil {
			complaint = cmp.Or(complaint, "backend "+name+": "+found.trouble.message)
			reading.Backends[name] = unknown(found.trouble.why, found.trouble.message)
		} else {
			reading.Backends[name] = p.track(name, found, now)
		}
		reading.Notes = append(reading.Notes, found.warnings...)
	}
	slices.Sort(reading.Notes)
	reading.Notes = slices.Compact(reading.Notes)
	p.succeeded(now, complaint)
	return reading, nil
}

// open finds out what time it is at the server, which also shows whether it answers at all.
func (p *Prometheus) open(ctx context.Context, now time.Time) (*session, time.Time, []string, *trouble) {
	var credentials Credentials
	if p.config.Credentials != nil {
		var err error
		if credentials, err = p.config.Credentials(ctx); err != nil {
			return nil, time.Time{}, nil, &trouble{UnknownUnreachable, presentable(err.Error(), string(credentials.Token))}
		}
	}
	session, err := p.client.session(credentials)
	if err != nil {
		return nil, time.Time{}, nil, &trouble{UnknownUnreachable, presentable(err.Error(), string(credentials.Token))}
	}
	answer, trouble := session.query(ctx, "time()", time.Time{})
	if trouble != nil {
		return nil, time.Time{}, answer.warnings, trouble
	}
	return session, answer.when, answer.warnings, p.timeTrouble(answer.when, now)
}

// timeTrouble says whether the server's time is another than ours.
func (p *Prometheus) timeTrouble(when, now time.Time) *trouble {
	before, elapsed := p.asOf, now.Sub(p.askedAt)
	p.asOf, p.askedAt = when, now
	switch {
	case when.Sub(now) > p.config.MaxSkew:
		return &trouble{UnknownTime, fmt.Sprintf("the server's clock is %s ahead", when.Sub(now).Round(time.Second))}
	case now.Sub(when) > p.config.Bound:
		return &trouble{UnknownTime, fmt.Sprintf("the server's clock is %s behind", now.Sub(when).Round(time.Second))}
	case when.Before(before):
		return &trouble{UnknownTime, fmt.Sprintf("the server's clock went back by %s", before.Sub(when).Round(time.Second))}
	case when.Equal(before) && elapsed >= time.Second:
		return &trouble{UnknownTime, "the server's clock stands still"}
	}
	return nil
}

// found is what the queries of a backend returned.
type found struct {
	// asked is the query for calls.
	asked         string
	calls, errors []promSample
	// begun is nil when it is not asked for, or not known.
	begun     []promSample
	latencies []promSample
	// noLatencies is why there are none; empty: there are.
	noLatencies string
	warnings    []string
	// trouble is why nothing at all is known.
	trouble *trouble
}

// ask asks all queries of all backends, for the same moment.
func (p *Prometheus) ask(ctx context.Context, session *session, questions []questionsOf, at time.Time) []found {
	out := make([]found, len(questions))
	places := make(chan struct{}, p.config.Parallel)
	var wait sync.WaitGroup
	for i := range out {
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			out[i] = p.askBackend(ctx, session, questions[i], at)
		})
	}
	wait.Wait()
	return out
}

// askBackend asks about one backend. Without its latencies, or what has begun, the calls and errors are known all the same.
func (p *Prometheus) askBackend(ctx context.Context, session *session, questions questionsOf, at time.Time) (out found) {
	out.asked = questions.calls.query
	one := func(question question, read func([]promSample) ([]promSample, error)) ([]promSample, *trouble) {
		if question.trouble != nil {
			return nil, question.trouble
		}
		answer, bad := session.query(ctx, question.query, at)
		out.warnings = append(out.warnings, answer.warnings...)
		if bad != nil {
			return nil, bad
		}
		if bad = p.checkAnswer(answer, at); bad != nil {
			return nil, bad
		}
		samples, err := read(answer.samples)
		if err != nil {
			return nil, &trouble{UnknownGarbage, err.Error()}
		}
		return samples, nil
	}
	if out.trouble = questions.trouble(); out.trouble != nil {
		return out
	}
	var bad *trouble
	if out.calls, bad = one(questions.calls, counters); bad != nil {
		out.trouble = &trouble{bad.why, "calls: " + bad.message}
		return out
	}
	if out.errors, bad = one(questions.errors, counters); bad != nil {
		out.trouble = &trouble{bad.why, "errors: " + bad.message}
		return out
	}
	if questions.begun != nil {
		if out.begun, bad = one(*questions.begun, counters); bad != nil {
			out.warnings = append(out.warnings, "begun: "+bad.message)
		}
	}
	if questions.latencies == nil {
		out.noLatencies = "no query for latencies is set"
		return out
	}
	if out.latencies, bad = one(*questions.latencies, histograms); bad != nil {
		out.noLatencies = "latencies: " + bad.message
	}
	return out
}

// checkAnswer says whether an answer is from another time than was asked for, or too large.
func (p *Prometheus) checkAnswer(answer answerOf, at time.Time) *trouble {
	if age := at.Sub(answer.when); age > p.config.Bound || age < -p.config.MaxSkew {
		return &trouble{UnknownTime, fmt.Sprintf("the result is of %s, and was asked for %s",
			answer.when.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))}
	}
	if len(answer.samples) > mostCounters {
		return &trouble{UnknownGarbage, fmt.Sprintf("the result has %d series, more than %d", len(answer.samples), mostCounters)}
	}
	return nil
}

// unasked is the reading without a query that may be sent: then the server is not asked for anything.
func (p *Prometheus) unasked(reading Reading, query Query, questions []questionsOf) (Reading, error) {
	reading.Asked, reading.Backends = 0, map[string]Counts{}
	for i := range questions {
		trouble := questions[i].trouble()
		reading.Backends[query.Backends[i].Name] = unknown(trouble.why, trouble.message)
	}
	message := questions[0].trouble().message
	p.failed(message)
	return reading, errors.New(message)
}

// track counts what was found of a backend. Another query than before, as after the two sides of a rollout have exchanged their roles, is
// about other calls: what a sum of them differs by from that of the former ones is no number of calls.
func (p *Prometheus) track(name string, found found, now time.Time) Counts {
	t, known := p.backends[name]
	if known = known && t.asked == found.asked; !known {
		t = newTracker()
		t.asked = found.asked
		p.backends[name] = t
	}
	gap := now.Sub(t.read)
	baseline := !known || gap > p.config.MaxGap
	clean := t.count(found, now, baseline)
	switch {
	case !known:
		t.since = now
		return unknown(UnknownFirstLook, firstLook)
	case baseline:
		t.restart(now)
		return unknown(UnknownGap, fmt.Sprintf("the last look was %s ago: calls are counted from now on", gap.Round(time.Second)))
	case !clean:
		t.restart(now)
		return unknown(UnknownReset, "a sum fell, because a pod restarted or went away: calls are counted from now on; "+
			"a query for the series as they are, without sum(), has no such gaps")
	}
	return t.deliver(now, p.config.MaxGap)
}
