package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Where a host is, is remembered over xDS, and written again only when nothing of it is right any more.
func TestWhereAHostIsIsRemembered(t *testing.T) {
	at := func(hostname string, addresses ...string) *v1alpha1.BackendHost {
		return &v1alpha1.BackendHost{Hostname: hostname, Addresses: addresses}
	}
	for name, c := range map[string]struct {
		before *v1alpha1.BackendHost
		now    []string
		noXDS  bool
		want   *v1alpha1.BackendHost
	}{
		"at first":             {now: []string{"1"}, want: at("eu.example.com", "1")},
		"never resolved":       {},
		"not any more":         {before: at("eu.example.com", "1"), want: at("eu.example.com", "1")},
		"some of it is right":  {before: at("eu.example.com", "1", "2"), now: []string{"2", "3"}, want: at("eu.example.com", "1", "2")},
		"it has moved":         {before: at("eu.example.com", "1"), now: []string{"3"}, want: at("eu.example.com", "3")},
		"another host":         {before: at("us.example.com", "1"), now: []string{"1"}, want: at("eu.example.com", "1")},
		"another one, unknown": {before: at("us.example.com", "1")},
		"objects remember it":  {before: at("eu.example.com", "1"), now: []string{"1"}, noXDS: true},
	} {
		t.Run(name, func(t *testing.T) {
			exs := &v1alpha1.ExposedService{}
			exs.Spec.XDS = &v1alpha1.XDS{}
			if c.noXDS {
				exs.Spec.XDS = nil
			}
			exs.Spec.Backends = []v1alpha1.Backend{{Name: "eu", FQDN: &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}}}
			exs.Status.Backends = []v1alpha1.BackendStatus{{Name: "eu", Host: c.before}}
			facts := gateway.Facts{Backends: map[string]gateway.BackendFacts{"eu": {Addresses: c.now}}}
			got := WithHosts(exs, facts, WithoutHosts(exs.Status.Backends))
			if diff := cmp.Diff([]v1alpha1.BackendStatus{{Name: "eu", Host: c.want}}, got); diff != "" {
				t.Error(diff)
			}
			if exs.Status.Backends[0].Host != c.before {
				t.Error("the status that was read is changed")
			}
		})
	}
}
