package node

import (
	"io"
	"log"
	"net"
	"time"
)

// forward passes every connection that the listener gets on to the address target.
//
// The listener was opened on the host and handed down: a socket stays in the network namespace where it was made,
// so what is accepted here came from the host, and what is dialled here goes into the cluster.
func forward(listener net.Listener, target string) {
	for {
		outer, err := listener.Accept()
		if err != nil {
			log.Printf("forwarder: %v", err)
			return
		}
		go func() {
			defer func() { _ = outer.Close() }()
			inner, err := net.DialTimeout("tcp", target, 5*time.Second)
			if err != nil {
				return // the API server is not up: to the client it looks as if it had connected directly
			}
			defer func() { _ = inner.Close() }()
			relay(outer, inner)
		}()
	}
}

// relay copies both ways until both sides have finished. A side that has finished sending may still receive.
func relay(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		transfer(a, b)
		close(done)
	}()
	transfer(b, a)
	<-done
}

// transfer copies until there is no more or either side is gone, and passes the end on.
func transfer(to, from net.Conn) {
	_, _ = io.Copy(to, from) // a broken connection is the clients' matter: they see it end
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
