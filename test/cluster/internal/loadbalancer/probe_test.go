package loadbalancer

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestARefusalIsAnAnswerAndSilenceIsNot(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := netip.MustParseAddrPort(listener.Addr().String())
	if err := Works(t.Context(), []netip.AddrPort{open}); err != nil {
		t.Errorf("a connection is no answer: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Works(t.Context(), []netip.AddrPort{open}); err != nil {
		t.Errorf("a refusal is no answer: %v", err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := Works(ctx, []netip.AddrPort{open, open}); err == nil {
		t.Error("silence is an answer")
	}
}
