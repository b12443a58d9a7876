package node

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

func TestConfigIsFilledIn(t *testing.T) {
	values := settings{Name: "demo", State: "/state", PauseImage: PauseImage, Pods: layout.Pods, DNS: layout.DNS}
	for file, wants := range map[string][]string{
		"containerd.toml": {"sandbox = '" + PauseImage + "'", "bin_dirs = ['/state/bin/cni']", "conf_dir = '/state/etc/cni'"},
		"cni.conflist":    {`[[{"subnet": "10.244.0.0/24"}]]`},
		"kubelet.yaml":    {`clusterDNS: ["10.96.0.10"]`, `tlsCertFile: "/state/pki/kubelet.crt"`, "failCgroupV1: false"},
		"kube-proxy.yaml": {`hostnameOverride: "demo"`, `clusterCIDR: "10.244.0.0/24"`, `kubeconfig: "/state/etc/kube-proxy.kubeconfig"`},
	} {
		t.Run(file, func(t *testing.T) {
			content, err := render(file, values)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range wants {
				if !strings.Contains(string(content), want) {
					t.Errorf("%q is missing in\n%s", want, content)
				}
			}
			if strings.Contains(string(content), "{{") {
				t.Errorf("something is left to fill in:\n%s", content)
			}
			if strings.HasSuffix(file, ".conflist") && !json.Valid(content) {
				t.Errorf("not JSON:\n%s", content)
			}
		})
	}
}
