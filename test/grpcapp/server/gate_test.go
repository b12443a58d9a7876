package server

import (
	"testing"
	"time"

	"github.com/headgate/headgate/test/grpcapp/internal/await"
)

func TestGateOpensAfterItsDuration(t *testing.T) {
	g := newGate()
	g.shut(time.Millisecond)
	await.Until(t, "the gate is open", func() bool { return !g.isShut() })
}

func TestALaterShutReplacesTheDuration(t *testing.T) {
	g := newGate()
	g.shut(time.Millisecond)
	g.shut(0)
	// A gate that closed after it fires in the order of the timers.
	after := newGate()
	after.shut(5 * time.Millisecond)
	await.Until(t, "the later gate is open", func() bool { return !after.isShut() })
	if !g.isShut() {
		t.Error("the first duration opened the gate")
	}
	g.unshut()
	if g.isShut() {
		t.Error("the gate is still shut")
	}
}

func TestClosedConnectionsPassAShutGate(t *testing.T) {
	g := newGate()
	g.shut(0)
	closed := make(chan struct{})
	close(closed)
	g.pass(closed) // would never return
}
