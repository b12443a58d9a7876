package bootstrap

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
)

// Where certificates are if nobody says otherwise: where a Secret of type kubernetes.io/tls, or
// cert-manager's CSI driver, is mounted in a pod.
const (
	DefaultCertificate = "/var/run/headgate-xds/tls.crt"
	DefaultKey         = "/var/run/headgate-xds/tls.key"
	DefaultCA          = "/var/run/headgate-xds/ca.crt"
)

// Port is the one that Headgate serves xDS on.
const Port = 18000

// Config is what a bootstrap is made of. All fields but AdminPort and Directory are required.
type Config struct {
	// Namespace and Name are those of the ExposedService.
	Namespace, Name string
	// Node is what people know the client by, in logs and conditions.
	Node string
	// Servers are host:port of Headgate's servers, in order of preference.
	Servers []string
	// Certificate, Key and CA are paths of PEM files: the client's certificate, its key, and who signs the
	// servers' certificates.
	Certificate, Key, CA string
	// AdminPort is the loopback port of Envoy's administration; 0: there is none.
	AdminPort int
	// Directory is where Envoy finds the other files of [EnvoyFiles]. Required for those.
	Directory string
}

// DefaultServer is the Service that the chart makes in the namespace that Headgate is installed in.
func DefaultServer(headgateNamespace string) string {
	return net.JoinHostPort("headgate-xds."+headgateNamespace+".svc", strconv.Itoa(Port))
}

// Validate says what cannot be.
func (c Config) Validate() error {
	var problems []error
	if c.Namespace == "" || c.Name == "" || c.Node == "" {
		problems = append(problems, errors.New("namespace, name and node must be set"))
	}
	if len(c.Servers) == 0 {
		problems = append(problems, errors.New("at least one server must be given, as host:port"))
	}
	for _, server := range c.Servers {
		if _, _, err := split(server); err != nil {
			problems = append(problems, fmt.Errorf("server %q: %w", server, err))
		}
	}
	for _, file := range []string{c.Certificate, c.Key, c.CA} {
		if !path.IsAbs(file) {
			problems = append(problems, fmt.Errorf("%q must be an absolute path, because it is looked up where the client runs", file))
		}
	}
	if c.AdminPort < 0 || c.AdminPort > maxPort {
		problems = append(problems, fmt.Errorf("%d is no port", c.AdminPort))
	}
	return errors.Join(problems...)
}

const maxPort = 1<<16 - 1

// split takes a server apart.
func split(server string) (host string, port uint32, err error) {
	host, text, err := net.SplitHostPort(server)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 || host == "" {
		return "", 0, errors.New("must be host:port")
	}
	return host, uint32(number), nil
}
