package report

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// mostAddresses is how many addresses of a host the status may hold.
const mostAddresses = 64

// WithHosts are the statuses of backends with where their hosts are.
func WithHosts(exs *v1alpha1.ExposedService, facts gateway.Facts, backends []v1alpha1.BackendStatus) []v1alpha1.BackendStatus {
	out := slices.Clone(backends)
	for i := range out {
		out[i].Host = hostOf(exs, facts, out[i].Name)
	}
	return out
}

// WithoutHosts are the statuses as the decider knows them.
func WithoutHosts(backends []v1alpha1.BackendStatus) []v1alpha1.BackendStatus {
	out := slices.Clone(backends)
	for i := range out {
		out[i].Host = nil
	}
	return out
}

// hostOf is where the host of a backend is, to be remembered; nil: it is none, or something else remembers it.
func hostOf(exs *v1alpha1.ExposedService, facts gateway.Facts, backend string) *v1alpha1.BackendHost {
	i := slices.IndexFunc(exs.Spec.Backends, func(b v1alpha1.Backend) bool { return b.Name == backend && b.FQDN != nil })
	if i < 0 || exs.Spec.XDS == nil {
		return nil
	}
	if facts.Backends[backend].Refused != "" && len(facts.Backends[backend].Addresses) == 0 {
		return nil // It is not to be used again.
	}
	now, remembered := facts.Backends[backend].Addresses, gateway.RememberedHost(exs, &exs.Spec.Backends[i])
	if remembered != nil && (len(now) == 0 || slices.ContainsFunc(remembered.Addresses, func(a string) bool { return slices.Contains(now, a) })) {
		return remembered
	}
	if len(now) == 0 {
		return nil
	}
	return &v1alpha1.BackendHost{
		Hostname: string(exs.Spec.Backends[i].FQDN.Hostname), Addresses: slices.Clone(now[:min(len(now), mostAddresses)]),
	}
}
