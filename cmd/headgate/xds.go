package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/headgate/headgate/controllers"
	"github.com/headgate/headgate/xds/server"
)

// maxReplicaName is what status.xds.replicas takes, and what a pod's host name has at most.
const maxReplicaName = 63

// Variables of the environment in which the downward API says who the pod is.
const (
	envPodName      = "POD_NAME"
	envPodNamespace = "POD_NAMESPACE"
)

// xdsOptions are the flags of the xDS server.
type xdsOptions struct {
	// address is where it listens; empty: it is off.
	address     string
	files       server.Files
	trustDomain string
	readAll     []string
	limits      server.Limits
	// replica is the name of this replica and replicaNamespace the namespace of the replicas' pods; empty: as the environment has it.
	replica, replicaNamespace string
}

// register adds the flags to a set.
func (o *xdsOptions) register(flags *flag.FlagSet) {
	flags.StringVar(&o.address, "xds-bind-address", "", "address of the xDS server, such as :18000, for spec.xds (default: it is off)")
	flags.StringVar(&o.files.Certificate, "xds-certificate", "", "PEM file with the certificate of the xDS server")
	flags.StringVar(&o.files.Key, "xds-key", "", "PEM file with its key")
	flags.StringVar(&o.files.ClientCAs, "xds-client-ca", "", "PEM file with the authorities that sign the certificates of xDS clients")
	flags.StringVar(&o.trustDomain, "xds-trust-domain", "",
		"trust domain of xDS clients, which are spiffe://<trust domain>/ns/<namespace>/sa/<service account> and read their own namespace (default cluster.local)")
	flags.Func("xds-read-all", "names (URI or DNS) in certificates of xDS clients that may read all namespaces, separated by commas (default: none)",
		func(value string) error {
			o.readAll = nil
			for name := range strings.SplitSeq(value, ",") {
				if name = strings.TrimSpace(name); name != "" {
					o.readAll = append(o.readAll, name)
				}
			}
			return nil
		})
	flags.Func("xds-max-memory", "memory that xDS clients may take in all, such as 128Mi (default: two fifths of the memory limit, or 128Mi)",
		bytesOf(&o.limits.Memory))
	flags.Func("xds-max-memory-per-identity", "memory that all clients may take whose certificates have the same name (default: a quarter of that)",
		bytesOf(&o.limits.MemoryPerIdentity))
	flags.IntVar(&o.limits.Connections, "xds-max-connections", 0, "connections of xDS clients in all; those of one certificate name may be a fifth of that (default 10000)")
	flags.IntVar(&o.limits.Streams, "xds-max-streams", 0,
		"streams of xDS clients in all, of which a client that reports its load has two; those of one namespace may be half of that (default 20000)")
	flags.IntVar(&o.limits.StreamsPerIdentity, "xds-max-streams-per-identity", 0, "streams of all clients whose certificates have the same name (default: a fifth of that)")
	flags.StringVar(&o.replica, "replica-name", "",
		"name of this replica in status.xds, that of its pod, at most 63 characters (default: $"+envPodName+", or without a namespace the host name)")
	flags.StringVar(&o.replicaNamespace, "replica-namespace", "",
		"namespace of the pods of all replicas, in which they find each other (default: $"+envPodNamespace+")")
}

// bytesOf reads a quantity of bytes into a number.
func bytesOf(into *int64) func(string) error {
	return func(text string) error {
		quantity, err := resource.ParseQuantity(text)
		if err != nil || quantity.Sign() <= 0 {
			return fmt.Errorf("%q is no amount of memory: write one such as 128Mi", text)
		}
		*into = quantity.Value()
		return nil
	}
}

// withMemory makes xDS clients' part of the memory limit their limit, if there is no other.
func withMemory(limits server.Limits, memoryLimit int64) server.Limits {
	if limits.Memory == 0 && memoryLimit < math.MaxInt64 {
		limits.Memory = server.MemoryFor(memoryLimit)
	}
	return limits
}

// check says what is wrong with the flags.
func (o *xdsOptions) check() error {
	if o.address == "" {
		return nil
	}
	for flagName, value := range map[string]string{
		"xds-certificate": o.files.Certificate, "xds-key": o.files.Key, "xds-client-ca": o.files.ClientCAs,
	} {
		if value == "" {
			return fmt.Errorf("--xds-bind-address needs --%s: xDS is served over mutual TLS only", flagName)
		}
	}
	if o.limits.Connections < 0 || o.limits.Streams < 0 || o.limits.StreamsPerIdentity < 0 {
		return errors.New("--xds-max-connections, --xds-max-streams and --xds-max-streams-per-identity must not be negative")
	}
	return nil
}

// config is what the controllers make the server with; nil: there is none.
func (o *xdsOptions) config(leaderElect bool, getenv func(string) string) (*controllers.XDSConfig, error) {
	if o.address == "" {
		return nil, nil
	}
	namespace := cmp.Or(o.replicaNamespace, getenv(envPodNamespace))
	if namespace == "" && leaderElect {
		return nil, errors.New("--xds-bind-address with --leader-elect needs --replica-namespace, the namespace of the replicas' pods: without it, " +
			"replicas do not find each other; set it, or the variable " + envPodNamespace + " by the downward API (metadata.namespace)")
	}
	replica, err := o.replicaName(namespace, getenv(envPodName))
	if err != nil {
		return nil, err
	}
	return &controllers.XDSConfig{
		Replica: replica, Namespace: namespace,
		Server: server.Config{
			Address: o.address, Files: o.files, TrustDomain: o.trustDomain, ReadAll: o.readAll, Limits: withMemory(o.limits, debug.SetMemoryLimit(-1)),
		},
	}, nil
}

// replicaName is the name by which other replicas know this one. With a namespace they look for a pod of that name:
// when there is none, the leader takes this replica for gone, and removes what it reports.
func (o *xdsOptions) replicaName(namespace, pod string) (string, error) {
	name := cmp.Or(o.replica, pod)
	switch {
	case len(name) > maxReplicaName:
		return "", fmt.Errorf("the replica's name %s has %d characters, at most %d are allowed: shorten the name of the Deployment "+
			"(in the chart fullnameOverride), from which that of the pod is made", name, len(name), maxReplicaName)
	case namespace != "" && pod != "" && name != pod:
		return "", fmt.Errorf("--replica-name is %s, but the pod is %s (%s): others look for a replica by the name of its pod; remove the flag",
			name, pod, envPodName)
	case name != "":
		return name, nil
	case namespace != "":
		return "", errors.New("this replica has no name by which others find its pod in namespace " + namespace + ": set the variable " + envPodName +
			" by the downward API (metadata.name), or --replica-name; the host name may be that of the node, or cut")
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find a name for this replica: %w (--replica-name gives it one)", err)
	}
	return host[:min(len(host), maxReplicaName)], nil
}
