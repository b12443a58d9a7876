package addons

import (
	"net/netip"
	"strings"
	"testing"
)

func TestManifestsAreFilledIn(t *testing.T) {
	for file, test := range map[string]struct {
		values any
		want   string
	}{
		"coredns.yaml": {struct {
			Image   string
			Address netip.Addr
		}{"dns:1", netip.MustParseAddr("10.96.0.10")}, "image: dns:1\n"},
		"envoy-gateway-values.yaml": {struct{ EnvoyImage string }{"envoy:1"}, "image: envoy:1\n"},
		"metrics-server.yaml":       {struct{ Image string }{"metrics:1"}, "image: metrics:1\n"},
		"gatewayclass.yaml":         {nil, "name: envoy-gateway"},
	} {
		content, err := renderManifest(file, test.values)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), test.want) || strings.Contains(string(content), "{{") {
			t.Errorf("%s is\n%s", file, content)
		}
	}
}
