package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/headgate/headgate/xds/bootstrap"
)

// bootstrapCommand is `kubectl headgate bootstrap envoy|grpc NAME`.
func bootstrapCommand(ctx context.Context, arguments []string, console console) error {
	o, err := parseBootstrap(arguments, console.out)
	if err != nil {
		return err
	}
	rest, namespace, err := o.cluster.load()
	if err != nil {
		return err
	}
	exs, err := readExposedService(ctx, rest, namespace, o.name)
	if err != nil {
		return err
	}
	if err := servable(exs, o.kind); err != nil {
		return err
	}
	for _, warning := range warnings(exs) {
		fmt.Fprintln(console.err, "warning:", warning)
	}
	return o.write(o.config(namespace), console)
}

// config is what the bootstrap is made of.
func (o *bootstrapOptions) config(namespace string) bootstrap.Config {
	c := bootstrap.Config{
		Namespace: namespace, Name: o.name, Node: o.node, Servers: o.servers,
		Certificate: o.certificate, Key: o.key, CA: o.ca, AdminPort: o.adminPort, Directory: o.directory,
	}
	if c.Node == "" {
		c.Node = namespace + "/" + o.name
	}
	if len(c.Servers) == 0 {
		c.Servers = []string{bootstrap.DefaultServer(o.headgateNamespace)}
	}
	return c
}

// write prints the bootstrap, or writes it where -o says.
func (o *bootstrapOptions) write(c bootstrap.Config, console console) error {
	if o.kind == kindGRPC {
		text, err := bootstrap.GRPC(c)
		if err != nil {
			return err
		}
		if o.output == "" {
			_, err = console.out.Write(text)
			return err
		}
		return writeFile(o.output, text, console)
	}
	if o.output == "" {
		files, err := bootstrap.EnvoyFiles(c)
		if err != nil {
			return err
		}
		return writeConfigMap(console.out, c, files)
	}
	directory, err := filepath.Abs(o.output)
	if err != nil {
		return err
	}
	c.Directory = directory
	files, err := bootstrap.EnvoyFiles(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o750); err != nil { //nolint:gosec // the user says where
		return err
	}
	// The configuration comes last: it is complete when it is there.
	for _, name := range []string{bootstrap.CertificateFile, bootstrap.CAFile, bootstrap.EnvoyFile} {
		if err := writeFile(filepath.Join(directory, name), files[name], console); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, text []byte, console console) error {
	if err := os.WriteFile(name, text, 0o644); err != nil { //nolint:gosec // nothing in it is secret, and Envoy runs as somebody else
		return err
	}
	fmt.Fprintln(console.err, "wrote", name)
	return nil
}

const (
	kindEnvoy = "envoy"
	kindGRPC  = "grpc"
)

func isKind(text string) bool { return slices.Contains([]string{kindEnvoy, kindGRPC}, text) }
