package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/headgate/headgate/controllers/certificates"
)

const certificateUsage = `Issue the certificate that a client shows to Headgate's xDS servers, by the clients' authority that the chart has made.

  kubectl headgate certificate NAME    prints a Secret NAME in the client's namespace (-n), to be mounted where
                                       "kubectl headgate bootstrap" has the client look for it:
                                       kubectl headgate certificate edge-xds -n shop | kubectl apply -f -
                                       With -o, the files tls.crt, tls.key and ca.crt in that directory.
                                       ca.crt has the authorities of the server, which are not those of the clients.

It lets its holder read what is exposed in that namespace. Whoever issues it must be allowed to read the Secret with the
clients' authority; the key is made here and is nowhere else.

Flags:
`

// certificateOptions are the arguments of `kubectl headgate certificate`.
type certificateOptions struct {
	name string

	cluster clusterFlags

	output                      string
	headgateNamespace           string
	authority, serverAuthority  string
	serviceAccount, trustDomain string
	days                        int
}

// parseCertificate reads the arguments. It prints the help to out, and returns pflag.ErrHelp, when that is asked for.
func parseCertificate(arguments []string, out io.Writer) (*certificateOptions, error) {
	o := &certificateOptions{}
	flags := newFlags("certificate", certificateUsage, out)
	flags.StringVarP(&o.output, "output", "o", "", "write files to this directory instead of printing a Secret")
	flags.StringVar(&o.serviceAccount, "service-account", "default", "what the client is called in its namespace, as in spiffe://<trust domain>/ns/<namespace>/sa/<service account>")
	flags.StringVar(&o.trustDomain, "trust-domain", "cluster.local", "the value xds.trustDomain of Headgate's chart")
	flags.IntVar(&o.days, "days", 90, "how long it is valid, one year at most") //nolint:mnd // a quarter, as public authorities have it
	flags.StringVar(&o.headgateNamespace, "headgate-namespace", "headgate-system", "the namespace that Headgate is installed in")
	flags.StringVar(&o.authority, "authority-secret", "headgate-xds-ca", "the Secret with the clients' authority")
	flags.StringVar(&o.serverAuthority, "server-authority-secret", "headgate-xds-server-ca", "the Secret with the server's authority, which is read where that of the clients does not say whom to trust")
	o.cluster = bindClusterFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		return nil, errors.New("usage: kubectl headgate certificate NAME [flags]; --help says more")
	}
	o.name = flags.Arg(0)
	return o, o.validate()
}

func (o *certificateOptions) validate() error {
	var problems []error
	for flag, value := range map[string]string{"NAME": o.name, "--service-account": o.serviceAccount, "--trust-domain": o.trustDomain} {
		if wrong := validation.IsDNS1123Subdomain(value); len(wrong) > 0 {
			problems = append(problems, fmt.Errorf("%s %q: %s", flag, value, strings.Join(wrong, ", ")))
		}
	}
	if most := int(certificates.Lifetime / (24 * time.Hour)); o.days < 1 || o.days > most {
		problems = append(problems, fmt.Errorf("--days %d: give 1 to %d", o.days, most))
	}
	return errors.Join(problems...)
}

// uri is the name of the client.
func (o *certificateOptions) uri(namespace string) string {
	name := url.URL{Scheme: "spiffe", Host: o.trustDomain, Path: "/ns/" + namespace + "/sa/" + o.serviceAccount}
	return name.String()
}
