package facts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/headgate/headgate/internal/dial"
	"github.com/headgate/headgate/internal/hostname"
)

// DefaultClusterDomain is the domain of the names of Services.
const DefaultClusterDomain = "cluster.local"

// clusterSetDomain is the domain of the names of Services of several clusters (Multi-Cluster Services).
const clusterSetDomain = "clusterset.local"

// HostPolicy says which hosts fqdn backends may name. A host is for what is outside the cluster: a name of the cluster, or one that leads
// to its Pods, Services or nodes, would be a way around the ReferenceGrants of other namespaces, and to what listens inside alone.
type HostPolicy struct {
	// ClusterDomain is the domain of the names of Services; empty: cluster.local.
	ClusterDomain string
	// Allowed are exceptions.
	Allowed AllowedHosts
	// Owner says whose of the cluster an address is, such as "a Service"; empty: nobody's. Nil: that is not asked.
	Owner func(ctx context.Context, ip netip.Addr) (string, error)
}

// AllowedHosts are hosts and addresses that may be called although they are the cluster's own.
type AllowedHosts struct {
	// Names are DNS names; one that begins with "*." stands for all that end with the rest.
	Names []string
	// Ranges are ranges of IP addresses.
	Ranges []netip.Prefix
}

// ParseAllowedHosts reads names, addresses and ranges of addresses.
func ParseAllowedHosts(entries []string) (AllowedHosts, error) {
	var out AllowedHosts
	for _, entry := range entries {
		prefix, err := netip.ParsePrefix(entry)
		if ip, notIP := netip.ParseAddr(entry); notIP == nil {
			prefix, err = ip.Prefix(ip.BitLen())
		}
		switch name := strings.TrimPrefix(entry, "*."); {
		case err == nil:
			out.Ranges = append(out.Ranges, prefix.Masked())
		case name == "" || strings.ContainsAny(name, "*/: ") || strings.HasPrefix(name, "."):
			return AllowedHosts{}, fmt.Errorf("%q is no DNS name, such as db.example.com or *.example.com, and no range of addresses, such as 10.0.0.0/8", entry)
		default:
			out.Names = append(out.Names, strings.ToLower(strings.TrimSuffix(entry, ".")))
		}
	}
	return out, nil
}

func (a AllowedHosts) hasName(name string) bool {
	return slices.ContainsFunc(a.Names, func(allowed string) bool { return hostname.Covers(allowed, name) })
}

func (a AllowedHosts) hasAddress(ip netip.Addr) bool {
	return slices.ContainsFunc(a.Ranges, func(r netip.Prefix) bool { return r.Contains(ip) })
}

// refuseName says why a host must not be looked up at all; empty: it may.
func (p HostPolicy) refuseName(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	domain := p.ClusterDomain
	if domain == "" {
		domain = DefaultClusterDomain
	}
	switch {
	case p.Allowed.hasName(name):
		return ""
	case !strings.Contains(name, "."), strings.HasSuffix(name, ".svc"), isIn(name, domain), isIn(name, clusterSetDomain):
		return fmt.Sprintf("host %s is a name of the cluster itself", name)
	case isIn(name, "localhost"):
		return fmt.Sprintf("host %s is a name of whoever asks", name)
	}
	return ""
}

func isIn(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }

// allowedOf are those of the addresses of a host that may be called. Refused says why others may not. An error: it could not be found out.
func (p HostPolicy) allowedOf(ctx context.Context, name string, addresses []string) (allowed []string, refused string, err error) {
	if p.Allowed.hasName(strings.ToLower(strings.TrimSuffix(name, "."))) {
		return addresses, "", nil
	}
	for _, address := range addresses {
		why, err := p.refuseAddress(ctx, address)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("find out whether %s is an address of the cluster: %w", address, err)
		case why == "":
			allowed = append(allowed, address)
		case refused == "":
			refused = fmt.Sprintf("host %s resolves to %s, %s", name, address, why)
		}
	}
	return allowed, refused, nil
}

// refuseAddress says what an address is that must not be called; empty: it may.
func (p HostPolicy) refuseAddress(ctx context.Context, address string) (string, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", err
	}
	ip = ip.Unmap().WithZone("")
	if p.Allowed.hasAddress(ip) {
		return "", nil
	}
	if local, isLocal := errors.AsType[*dial.LocalError](dial.RefuseLocal(ip)); isLocal {
		return local.What, nil
	}
	if p.Owner == nil {
		return "", nil
	}
	owner, err := p.Owner(ctx, ip)
	if err != nil || owner == "" {
		return "", err
	}
	return "the address of " + owner + " of the cluster", nil
}
