package loadbalancer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// probeTimeout is how long a connection to an address may take. What kube-proxy does not know yet gets no answer at all; and an attempt that
// came too early never gets one, because the kernel decides once for a connection where it goes. So a try is short, and there are many.
const probeTimeout = 100 * time.Millisecond

// Works returns nil if connections to all these get an answer: a refusal is one, it is kube-proxy's for a service without endpoints.
func Works(ctx context.Context, doors []netip.AddrPort) error {
	errs := make([]error, len(doors))
	var all sync.WaitGroup
	for i, door := range doors {
		all.Go(func() { errs[i] = answers(ctx, door) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func answers(ctx context.Context, door netip.AddrPort) error {
	conn, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(ctx, "tcp", door.String())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	return conn.Close()
}
