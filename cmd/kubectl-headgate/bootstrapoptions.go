package main

import (
	"errors"
	"io"

	"github.com/headgate/headgate/xds/bootstrap"
)

const bootstrapUsage = `Print what a client starts with to get its configuration from Headgate.

  kubectl headgate bootstrap envoy NAME    a ConfigMap with the files of an Envoy, to be mounted at --directory:
                                           kubectl headgate bootstrap envoy greeter | kubectl apply -f -
                                           With -o, the files themselves, in that directory: envoy -c DIRECTORY/envoy.yaml
  kubectl headgate bootstrap grpc NAME     the bootstrap of a gRPC client, for the file that GRPC_XDS_BOOTSTRAP names

The client shows a certificate of its own, and gets what its namespace may have: its URI name must be
spiffe://<trust domain>/ns/<namespace>/sa/<service account>. Renewed certificates are taken up from the same files.

Flags:
`

// bootstrapOptions are the arguments of `kubectl headgate bootstrap`.
type bootstrapOptions struct {
	kind, name string

	cluster clusterFlags

	output, directory       string
	servers                 []string
	headgateNamespace, node string
	certificate, key, ca    string
	adminPort               int
}

// parseBootstrap reads the arguments. It prints the help to out, and returns pflag.ErrHelp, when that is asked for.
func parseBootstrap(arguments []string, out io.Writer) (*bootstrapOptions, error) {
	o := &bootstrapOptions{}
	flags := newFlags("bootstrap", bootstrapUsage, out)
	flags.StringVarP(&o.output, "output", "o", "", "write to this directory (envoy) or file (grpc) instead of printing")
	flags.StringVar(&o.directory, "directory", "/etc/headgate-envoy", "where the printed ConfigMap will be mounted (envoy)")
	flags.StringArrayVar(&o.servers, "xds-server", nil,
		"host:port of Headgate's xDS server; repeat for servers to fall back to (default headgate-xds.<headgate namespace>.svc:18000)")
	flags.StringVar(&o.headgateNamespace, "headgate-namespace", "headgate-system", "the namespace that Headgate is installed in")
	flags.StringVar(&o.node, "node", "", "what the client is called in Headgate's logs and conditions (default <namespace>/<name>)")
	flags.StringVar(&o.certificate, "certificate", bootstrap.DefaultCertificate, "path of the client's certificate, where the client runs")
	flags.StringVar(&o.key, "key", bootstrap.DefaultKey, "path of its key")
	flags.StringVar(&o.ca, "ca", bootstrap.DefaultCA, "path of the certificates that sign the server's")
	flags.IntVar(&o.adminPort, "admin-port", 9901, "loopback port of Envoy's administration; 0: none (envoy)") //nolint:mnd // Envoy's own default
	o.cluster = bindClusterFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() != 2 || !isKind(flags.Arg(0)) {
		return nil, errors.New("usage: kubectl headgate bootstrap envoy|grpc NAME [flags]; --help says more")
	}
	o.kind, o.name = flags.Arg(0), flags.Arg(1)
	return o, nil
}
