package pieces

import (
	"fmt"
	"io"
	"time"
)

// every is how often a build that takes long says that it is still alive.
const every = 15 * time.Second

// progress tells how one build goes.
type progress struct {
	out   io.Writer
	label string
	began time.Time
	done  chan struct{}
}

// startProgress says what begins, and from then on every 15 seconds how long it has taken.
func startProgress(out io.Writer, label string) *progress {
	p := &progress{out: out, label: label, began: time.Now(), done: make(chan struct{})}
	p.say("…")
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-ticker.C:
				p.say(fmt.Sprintf("… %.0f s", time.Since(p.began).Seconds()))
			}
		}
	}()
	return p
}

func (p *progress) say(what string) { fmt.Fprintf(p.out, "%s %s\n", p.label, what) }

func (p *progress) end(built bool, err error) {
	close(p.done)
	took := time.Since(p.began).Seconds()
	switch {
	case err != nil:
		p.say(fmt.Sprintf("failed after %.0f s", took))
	case built:
		p.say(fmt.Sprintf("built in %.0f s", took))
	default:
		p.say(fmt.Sprintf("built by another run, waited %.0f s", took))
	}
}
