// Package controlplane gives tests a control plane as Headgate's replicas are one: the xDS server with its cache, on
// loopback, with certificates, and the resources that package resource makes.
package controlplane

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/server"
)

// ControlPlane is one replica.
type ControlPlane struct {
	*server.Server

	Cache *cache.Cache
	// Address is host:port.
	Address   string
	Authority *pki.Authority

	t    testing.TB
	stop func()
}

// Config says what may differ from replica to replica.
type Config struct {
	// Authority and Certificate are its own if they are not set.
	Authority   *pki.Authority
	Certificate pki.Pair
	// Cache holds what is served; nil: a new one, synced.
	Cache *cache.Cache
	// Address to listen on; empty: a free port.
	Address string
	// Change changes the server's configuration; nil: nothing.
	Change func(*server.Config)
}

// Start runs a replica until the test ends.
func Start(t testing.TB, c Config) *ControlPlane {
	t.Helper()
	p := &ControlPlane{t: t, Cache: c.Cache, Authority: c.Authority}
	if p.Authority == nil {
		p.Authority = pki.NewAuthority(t)
	}
	if c.Certificate == (pki.Pair{}) {
		c.Certificate = p.Authority.Server()
	}
	if p.Cache == nil {
		p.Cache = NewCache()
	}
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", c.Address)
	if err != nil {
		t.Fatal(err)
	}
	p.Address = listener.Addr().String()
	config := server.Config{
		Cache:    p.Cache,
		Listener: listener,
		Files:    server.Files{Certificate: c.Certificate.Certificate, Key: c.Certificate.Key, ClientCAs: p.Authority.ClientCA},
	}
	if c.Change != nil {
		c.Change(&config)
	}
	if p.Server, err = server.New(config); err != nil {
		t.Fatal(err)
	}
	p.run()
	return p
}

func (p *ControlPlane) run() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Start(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("the xDS server ended with %v", err)
		}
	})
	p.t.Cleanup(p.stop)
}

// Stop ends the replica as a rolling update does.
func (p *ControlPlane) Stop() { p.stop() }

// NewCache is a cache that is synced.
func NewCache() *cache.Cache {
	c := cache.New(cache.Config{})
	c.Synced()
	return c
}
