package refs

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/hostname"
)

// Contest is a claim of one and a claim of another of which there may be a call that meets both.
type Contest struct{ Mine, Its Claim }

// Contests are the claims of which two cannot both have all. In one namespace these are equal claims: whoever writes there may lay a more
// specific match, or a host under a wildcard, over another. Between namespaces that would be a theft, so that claims must not overlap.
func (c Claims) Contests(other Claims) []Contest {
	if !c.sameListeners(other) {
		return nil
	}
	if c.Namespace == other.Namespace {
		return c.equal(other)
	}
	var out []Contest
	for _, mine := range c.Hosts {
		for _, its := range other.Hosts {
			if hostsOverlap(mine, its) {
				out = append(out, c.overlaps(mine, other, its)...)
			}
		}
	}
	return out
}

// sameListeners: both want calls of the same Gateway, and not of different listeners.
func (c Claims) sameListeners(other Claims) bool {
	return c.Gateway != "" && c.Gateway == other.Gateway && (c.Section == "" || other.Section == "" || c.Section == other.Section)
}

func (c Claims) equal(other Claims) []Contest {
	matches := common(c.Matches, other.Matches)
	var out []Contest
	for _, host := range common(c.Hosts, other.Hosts) {
		for _, match := range matches {
			claim := Claim{host, match}
			out = append(out, Contest{claim, claim})
		}
	}
	return out
}

// overlaps are the matches of both that some call meets, at hosts that overlap.
func (c Claims) overlaps(host string, other Claims, itsHost string) []Contest {
	others := make([]v1alpha1.Match, len(other.Matches))
	for i, text := range other.Matches {
		others[i] = readMatch(text)
	}
	var out []Contest
	for _, mine := range c.Matches {
		match := readMatch(mine)
		for i, its := range other.Matches {
			if matchesOverlap(match, others[i]) {
				out = append(out, Contest{Claim{host, mine}, Claim{itsHost, its}})
			}
		}
	}
	return out
}

// hostsOverlap says whether there is a host name that both stand for. None, "", stands for all.
func hostsOverlap(a, b string) bool { return a == b || covers(a, b) || covers(b, a) }

// covers says whether a wildcard, or none, stands for a host or for a narrower wildcard.
func covers(wildcard, host string) bool {
	return wildcard == "" || hostname.Covers(wildcard, host)
}

// CoverKeys are one value for each wildcard that stands for one of the hosts, and for the claim to all; those of HostKeys are not among them
// but where one host covers another.
func (c Claims) CoverKeys() []string {
	if c.Gateway == "" {
		return nil
	}
	var out []string
	for _, host := range c.Hosts {
		for rest := strings.TrimPrefix(host, "*."); rest != ""; {
			// "*.example.com" is covered by "*.com", and by itself, which is no other.
			_, rest, _ = strings.Cut(rest, ".")
			if wildcard := "*." + rest; rest != "" && wildcard != host {
				out = append(out, c.Gateway+" "+wildcard)
			}
		}
		if host != "" {
			out = append(out, c.Gateway+" ")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WideKeys are those of HostKeys whose hosts stand for others: wildcards, and the claim to all.
func (c Claims) WideKeys() []string {
	if c.Gateway == "" {
		return nil
	}
	var out []string
	for _, host := range c.Hosts {
		if host == "" || strings.HasPrefix(host, "*") {
			out = append(out, c.Gateway+" "+host)
		}
	}
	return out
}

// matchesOverlap says whether there may be a call that meets two matches. It is certain that there is none when they name
// different services, different methods, or different values of a header, each exactly.
func matchesOverlap(x, y v1alpha1.Match) bool {
	exact := func(m v1alpha1.Match) bool { return m.Type == "" || m.Type == v1alpha1.MatchExact }
	if exact(x) && exact(y) && (differ(x.Service, y.Service) || differ(x.Method, y.Method)) {
		return false
	}
	for _, mine := range x.Headers {
		for _, its := range y.Headers {
			if mine.Name == its.Name && mine.Type == v1alpha1.MatchExact && its.Type == v1alpha1.MatchExact && mine.Value != its.Value {
				return false
			}
		}
	}
	return true
}

func differ(a, b *string) bool { return a != nil && b != nil && ptr.Deref(a, "") != ptr.Deref(b, "") }

// readMatch reads what matchText has written.
func readMatch(text string) v1alpha1.Match {
	var out v1alpha1.Match
	if text == "" {
		return out
	}
	if json.Unmarshal([]byte(text), &out) != nil {
		return v1alpha1.Match{} // It overlaps with all.
	}
	return out
}
