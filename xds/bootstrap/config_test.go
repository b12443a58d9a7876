package bootstrap_test

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/xds/bootstrap"
)

func valid() bootstrap.Config {
	return bootstrap.Config{
		Namespace: "shop", Name: "greeter", Node: "shop/greeter", Servers: []string{bootstrap.DefaultServer("headgate-system")},
		Certificate: bootstrap.DefaultCertificate, Key: bootstrap.DefaultKey, CA: bootstrap.DefaultCA, Directory: "/etc/envoy",
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bootstrap.Config)
		want   string
	}{
		"no name":               {func(c *bootstrap.Config) { c.Name = "" }, "must be set"},
		"no node":               {func(c *bootstrap.Config) { c.Node = "" }, "must be set"},
		"no server":             {func(c *bootstrap.Config) { c.Servers = nil }, "at least one server"},
		"a server without port": {func(c *bootstrap.Config) { c.Servers = []string{"a"} }, `server "a"`},
		"a named port":          {func(c *bootstrap.Config) { c.Servers = []string{"a:xds"} }, "host:port"},
		"port 0":                {func(c *bootstrap.Config) { c.Servers = []string{"a:0"} }, "host:port"},
		"no host":               {func(c *bootstrap.Config) { c.Servers = []string{":18000"} }, "host:port"},
		"a relative path":       {func(c *bootstrap.Config) { c.CA = "ca.crt" }, `"ca.crt" must be an absolute path`},
		"no such port":          {func(c *bootstrap.Config) { c.AdminPort = 70000 }, "70000 is no port"},
		"a relative directory":  {func(c *bootstrap.Config) { c.Directory = "etc" }, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			config := valid()
			c.change(&config)
			if _, err := bootstrap.EnvoyFiles(config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := bootstrap.GRPC(config); (err == nil) != (name == "a relative directory") {
				t.Errorf("for gRPC: %v", err)
			}
		})
	}
}
