package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-logr/logr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/controllers/certificates"
)

// commandCertificates makes or renews the certificates of the xDS server, and ends.
const commandCertificates = "certificates"

// certificatesTimeout bounds how long that may take.
const certificatesTimeout = time.Minute

// parseCertificatesOptions reads the command line after the name of the command.
func parseCertificatesOptions(args []string, output io.Writer) (certificates.Config, error) {
	var config certificates.Config
	flags := flag.NewFlagSet("headgate "+commandCertificates, flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&config.Namespace, "namespace", "", "namespace of the Secrets")
	flags.StringVar(&config.ClientAuthority, "authority-secret", "headgate-xds-ca", "Secret with the certificate and key of the clients' authority")
	flags.StringVar(&config.ServerAuthority, "server-authority-secret", "headgate-xds-server-ca", "Secret with the certificate and key of the server's authority")
	flags.StringVar(&config.Server, "server-secret", "headgate-xds-tls", "Secret with the server's certificate and key, and the certificates of the clients' authorities")
	flags.DurationVar(&config.SeparateAfter, "separate-after", certificates.Lifetime,
		"how long a server with a certificate of the clients' authority, as versions before had it, goes on with it; clients renew their certificates meanwhile")
	flags.Func("dns-names", "names of the server, separated by commas", func(value string) error {
		config.DNSNames = strings.Split(value, ",")
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return config, err
	}
	switch {
	case flags.NArg() > 0:
		return config, fmt.Errorf("unexpected argument %q: headgate %s takes only flags", flags.Arg(0), commandCertificates)
	case config.Namespace == "" || len(config.DNSNames) == 0:
		return config, errors.New("--namespace and --dns-names are needed")
	case config.SeparateAfter < 0:
		return config, fmt.Errorf("--separate-after %s: give 0s or more", config.SeparateAfter)
	}
	return config, nil
}

// makeCertificates makes or renews what is to be made or renewed.
func makeCertificates(ctx context.Context, config certificates.Config, logger logr.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, certificatesTimeout)
	defer cancel()
	server, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	kube, err := client.New(server, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	return certificates.Ensure(ctx, kube, config, time.Now(), logger)
}
