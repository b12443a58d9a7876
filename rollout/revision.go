package rollout

import "strings"

// A revision of a workload is the hash of its pod template, and with trackConfig that of the configuration, after a dash.

// TemplateOf is the hash of the pod template in a revision.
func TemplateOf(revision string) string {
	template, _, _ := strings.Cut(revision, "-")
	return template
}

// ConfigOf is the hash of the configuration in a revision; empty: there is none in it.
func ConfigOf(revision string) string {
	_, config, _ := strings.Cut(revision, "-")
	return config
}
