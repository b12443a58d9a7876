package signals

// question is a query for one backend, or why it cannot be asked.
type question struct {
	query   string
	trouble *trouble
}

// questionsOf are the queries for one backend. Nobody asks for what is nil.
type questionsOf struct {
	calls, errors    question
	begun, latencies *question
}

// trouble is why the calls and errors cannot be asked for; nil: they can.
func (q questionsOf) trouble() *trouble {
	switch {
	case q.calls.trouble != nil:
		return &trouble{q.calls.trouble.why, "calls: " + q.calls.trouble.message}
	case q.errors.trouble != nil:
		return &trouble{q.errors.trouble.why, "errors: " + q.errors.trouble.message}
	}
	return nil
}

func (q questionsOf) mayBeSent() bool { return q.trouble() == nil }

// questions are the queries of all backends, in their order.
func (p *Prometheus) questions(query Query) []questionsOf {
	out := make([]questionsOf, len(query.Backends))
	for i, backend := range query.Backends {
		optional := func(template *queryTemplate) *question {
			if template == nil {
				return nil
			}
			one := p.question(*template, query, backend)
			return &one
		}
		out[i] = questionsOf{
			calls: p.question(p.calls, query, backend), errors: p.question(p.errors, query, backend),
			begun: optional(p.begun), latencies: optional(p.latencies),
		}
	}
	return out
}

// question fills a query in, and keeps it to the series that it may read. That comes last: what is filled in is a part of the query.
func (p *Prometheus) question(template queryTemplate, query Query, backend Backend) question {
	filled, err := template.fill(query, backend)
	if err != nil {
		return question{trouble: &trouble{UnknownEmpty, err.Error()}}
	}
	if p.config.Only == nil {
		return question{query: filled}
	}
	bound, known := p.bound[filled]
	if !known {
		if len(p.bound) >= mostBound {
			clear(p.bound)
		}
		bound.query, bound.err = p.config.Only.bind(filled)
		p.bound[filled] = bound
	}
	if bound.err != nil {
		return question{trouble: &trouble{UnknownQuery, bound.err.Error()}}
	}
	return question{query: bound.query}
}
