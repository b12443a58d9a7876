// Package hostname compares host names with wildcards as the Gateway API has them.
package hostname

import "strings"

// Covers says whether a pattern stands for a host name, or for a narrower wildcard: the name itself, a wildcard such as "*.example.com" for all
// that end with the rest, at any depth, or "*" for everything.
func Covers(pattern, host string) bool {
	suffix, isWildcard := strings.CutPrefix(pattern, "*")
	return host == pattern || isWildcard && strings.HasSuffix(host, suffix)
}
