package controllers

import (
	"context"

	"github.com/headgate/headgate/xds/server"
)

// xdsPlane is the xDS server and the reports on its clients, on every replica. The reports end after the
// server, when its clients have gone to others.
type xdsPlane struct {
	server   *server.Server
	reporter *xdsReporter
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*xdsPlane) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (p *xdsPlane) Start(ctx context.Context) error {
	reporting, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.reporter.run(reporting)
	}()
	err := p.server.Start(ctx)
	stop()
	<-ended
	p.reporter.withdraw(ctx)
	return err
}
