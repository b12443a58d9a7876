package signals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// askAll asks n of a kind, each once, at most so many at the same time, all within a time; for whom none is left, late is the answer.
// The answers are in the order of those asked. The asking begins elsewhere from look to look, so that slow ones do not always keep the
// same others waiting.
func askAll[A any](
	ctx context.Context, within time.Duration, atOnce, n, look int, ask func(ctx context.Context, index int) A, late A,
) []A {
	answers := make([]A, n)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	places := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i := range answers {
		index := (i + look) % n
		wait.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				answers[index] = ask(ctx, index)
			case <-ctx.Done():
				answers[index] = late
			}
		})
	}
	wait.Wait()
	return answers
}

// noAnswer is what all have in common who waited in vain.
var noAnswer = &trouble{UnknownUnreachable, "no answer in time"}

func notAsked() *trouble { return &trouble{UnknownUnreachable, "was not asked in time"} }

// fetch reads a page of metrics of at most so many bytes, or says why there is none. The errors of read are about what the
// page says.
func fetch(ctx context.Context, client *http.Client, address string, timeout time.Duration, maxBytes int64, read func(io.Reader) error) *trouble {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body bodyReader
	err := get(ctx, client, address, maxBytes, func(from io.Reader) error {
		body.from = from
		return read(&body)
	})
	if body.err != nil {
		// What was read came to its end too early, whatever whoever read it made of that.
		err = body.err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return noAnswer
	case errors.Is(err, errTooLarge):
		return &trouble{UnknownGarbage, fmt.Sprintf("the answer has more than %d bytes", maxBytes)}
	case body.from != nil && body.err == nil:
		return &trouble{UnknownGarbage, quoted(err.Error())}
	}
	return &trouble{UnknownUnreachable, quoted(err.Error())}
}

// bodyReader tells an answer that could not be read from one that says something wrong.
type bodyReader struct {
	from io.Reader
	err  error
}

func (b *bodyReader) Read(into []byte) (int, error) {
	n, err := b.from.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
