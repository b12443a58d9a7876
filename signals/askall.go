package signals

import (
	"context"
	"errors"
	"fmt"
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

func notAsked() *trouble { return &trouble{UnknownUnreachable, "was not asked in time"} }

// fetch reads a page of metrics of at most so many bytes, or says why there is none.
func fetch(ctx context.Context, client *http.Client, address string, timeout time.Duration, maxBytes int64) ([]byte, *trouble) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := get(ctx, client, address, maxBytes)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &trouble{UnknownUnreachable, "no answer in time"}
	case errors.Is(err, errTooLarge):
		return nil, &trouble{UnknownGarbage, fmt.Sprintf("the answer has more than %d bytes", maxBytes)}
	case err != nil:
		return nil, &trouble{UnknownUnreachable, presentable(err.Error())}
	}
	return body, nil
}
