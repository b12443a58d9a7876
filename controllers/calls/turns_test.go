package calls

import (
	"fmt"
	"testing"
)

// places is a hall of turns in which each look lasts until the test ends it.
type places struct {
	*turns

	began chan string
	ends  map[string]chan struct{}
}

func newPlaces() *places {
	return &places{turns: newTurns(), began: make(chan string, 10_000), ends: map[string]chan struct{}{}}
}

func (p *places) look(namespace, target, name string) {
	end := make(chan struct{})
	p.ends[name] = end
	p.take(turn{namespace: namespace, target: target, run: func() {
		p.began <- name
		<-end
	}})
}

// begun are the names of the next n looks that began.
func (p *places) begun(n int) map[string]bool {
	out := map[string]bool{}
	for range n {
		out[<-p.began] = true
	}
	return out
}

func (p *places) under() (running, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, queue := range p.waiting {
		waiting += len(queue)
	}
	return p.running, waiting
}

func (p *places) endAll(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		close(p.ends[fmt.Sprint(i)])
	}
}

func TestOneNamespaceNeverTakesAllPlaces(t *testing.T) {
	p := newPlaces()
	for i := range 1000 {
		p.look("noisy", "", fmt.Sprint(i))
	}
	p.begun(looksInNamespace)
	if running, waiting := p.under(); running != looksInNamespace || waiting != 1000-looksInNamespace {
		t.Errorf("%d looks are under way, %d wait", running, waiting)
	}
	p.look("quiet", "", "good")
	if !p.begun(1)["good"] {
		t.Error("somebody else's look came first")
	}
	close(p.ends["good"])
	p.endAll(t, 1000)
	p.wait()
	if running, waiting := p.under(); running != 0 || waiting != 0 || len(p.inNamespace) != 0 || len(p.ofOne) != 0 || len(p.order) != 0 {
		t.Errorf("in the end %d looks are under way, %d wait: %+v", running, waiting, p.turns)
	}
}

func TestOneServerTakesPlacesOfThoseOnlyWhoAskIt(t *testing.T) {
	p := newPlaces()
	for i := range 100 {
		p.look("shop", "prometheus.monitoring:9090", fmt.Sprint(i))
	}
	p.begun(looksOfOneAtServer)
	p.look("shop", "another:9090", "another server")
	p.look("bank", "prometheus.monitoring:9090", "another namespace")
	if got := p.begun(2); !got["another server"] || !got["another namespace"] {
		t.Errorf("began: %v", got)
	}
	for i := range 100 {
		p.look("bank", "prometheus.monitoring:9090", fmt.Sprint(100+i))
	}
	p.begun(looksAtServer - looksOfOneAtServer - 1)
	if running, _ := p.under(); running != looksAtServer+1 {
		t.Errorf("%d looks are under way", running)
	}
	p.endAll(t, 200)
	close(p.ends["another server"])
	close(p.ends["another namespace"])
	p.wait()
}

// Where all places are taken, the next ones are shared out to the namespaces in turn, however many of one wait.
func TestPlacesAreSharedOutByNamespace(t *testing.T) {
	p := newPlaces()
	const each = 500
	for i := range 6 * each {
		p.look(fmt.Sprint("noisy-", i%6), "", fmt.Sprint(i))
	}
	running := p.begun(looksAtOnce)
	p.look("quiet", "", "good")
	ended := 0
	for name := range running {
		close(p.ends[name])
		delete(running, name)
		if ended++; p.begun(1)["good"] {
			break
		}
	}
	if ended > 7 {
		t.Errorf("a look of a quiet namespace waited for %d others", ended)
	}
}
