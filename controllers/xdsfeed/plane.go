package xdsfeed

import (
	"context"

	"github.com/headgate/headgate/xds/server"
)

// Plane is the xDS server and the reports on its clients, on every replica. The reports end after the
// server, when its clients have gone to others.
type Plane struct {
	Server   *server.Server
	Reporter *Reporter
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Plane) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (p *Plane) Start(ctx context.Context) error {
	reporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Reporter.run(reporting)
	}()
	err := p.Server.Start(ctx)
	stop()
	<-ended
	p.Reporter.withdraw(ctx)
	return err
}
