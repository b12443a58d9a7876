package node

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

//go:embed config
var configFiles embed.FS

// PauseImage is the image of a pod's sandbox.
const PauseImage = "registry.k8s.io/pause:3.10.2"

// settings are what the configuration files leave open.
type settings struct {
	Name, State, PauseImage string
	Pods                    netip.Prefix
	DNS                     netip.Addr
}

// writeConfig fills in and writes the configuration of the components.
func writeConfig(cluster layout.Cluster) error {
	values := settings{Name: cluster.Name, State: cluster.State, PauseImage: PauseImage, Pods: layout.Pods, DNS: layout.DNS}
	for file, to := range map[string]string{
		"containerd.toml": "containerd.toml",
		"cni.conflist":    "cni/10-headgate.conflist",
		"kubelet.yaml":    "kubelet.yaml",
		"kube-proxy.yaml": "kube-proxy.yaml",
	} {
		content, err := render(file, values)
		if err != nil {
			return err
		}
		path := cluster.Config(to)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := layout.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func render(file string, values settings) ([]byte, error) {
	text, err := configFiles.ReadFile("config/" + file)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(file).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("fill in %s: %w", file, err)
	}
	return out.Bytes(), nil
}
