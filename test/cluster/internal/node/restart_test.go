package node

import (
	"testing"
	"time"
)

func TestNextPause(t *testing.T) {
	for name, test := range map[string]struct{ last, ran, want time.Duration }{
		"the first end":                  {0, time.Minute, 200 * time.Millisecond},
		"the first end, at once":         {0, 0, 200 * time.Millisecond},
		"again at once":                  {200 * time.Millisecond, time.Second, 400 * time.Millisecond},
		"again and again":                {4 * time.Second, time.Second, 5 * time.Second},
		"after a long run, as the first": {5 * time.Second, time.Minute, 200 * time.Millisecond},
	} {
		if got := nextPause(test.last, test.ran); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}
