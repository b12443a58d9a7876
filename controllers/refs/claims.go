package refs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// RouteClaims are what an ExposedService claims of its Gateway: one value for each pair of host and
// match. Two that share a value want the same calls (unless they are on different listeners). Who has no
// Gateway claims nothing of one.
func RouteClaims(exs *v1alpha1.ExposedService) []string {
	if exs.Spec.Gateway == nil {
		return nil
	}
	gatewayName := Gateway(exs).String()
	var out []string
	for _, host := range Hosts(exs) {
		for _, match := range Matches(exs) {
			sum := sha256.Sum256([]byte(strings.Join([]string{gatewayName, host, match}, "\n")))
			out = append(out, hex.EncodeToString(sum[:16]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Hosts are the host names; none at all is a claim of its own, because Gateway API prefers
// a route with host names to one without.
func Hosts(exs *v1alpha1.ExposedService) []string {
	if len(exs.Spec.Hostnames) == 0 {
		return []string{""}
	}
	out := make([]string, 0, len(exs.Spec.Hostnames))
	for _, hostname := range exs.Spec.Hostnames {
		out = append(out, string(hostname))
	}
	return out
}

// Matches writes each match so that equal ones are equal strings; no rules are one claim.
func Matches(exs *v1alpha1.ExposedService) []string {
	if len(exs.Spec.Rules) == 0 {
		return []string{""}
	}
	var out []string
	for _, rule := range exs.Spec.Rules {
		for _, match := range rule.Matches {
			match.Headers = slices.SortedFunc(slices.Values(match.Headers), func(a, b v1alpha1.HeaderMatch) int {
				return strings.Compare(a.Name, b.Name)
			})
			text, err := json.Marshal(match)
			if err != nil {
				// A struct of strings can always be written.
				continue
			}
			out = append(out, string(text))
		}
	}
	return out
}
