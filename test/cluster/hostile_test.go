package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// expectOwnEnvironment runs kubectl and helm in the cluster's network, for a user whose environment is full of other clusters, proxies that are not
// there, and folders that cannot be written.
func expectOwnEnvironment(t *testing.T, program string) {
	t.Helper()
	cache, err := os.UserCacheDir() // where the cluster is
	if err != nil {
		t.Fatal(err)
	}
	const nowhere, unwritable = "127.0.0.1:1", "/proc/nowhere"
	hostile := []string{
		"PATH=" + os.Getenv("PATH"), "XDG_CACHE_HOME=" + cache, nameVariable + "=" + os.Getenv(nameVariable),
		"HOME=" + unwritable, "XDG_CONFIG_HOME=" + unwritable, "XDG_DATA_HOME=" + unwritable, "XDG_STATE_HOME=" + unwritable,
		"KUBECONFIG=" + filepath.Join(t.TempDir(), "none"), "KUBERC=" + unwritable, "KUBECACHEDIR=" + unwritable,
		"KUBERNETES_MASTER=http://" + nowhere, "KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=1", "POD_NAMESPACE=none",
		"HELM_NAMESPACE=none", "HELM_KUBECONTEXT=none", "HELM_KUBEAPISERVER=https://" + nowhere, "HELM_KUBETOKEN=none", "HELM_KUBEASUSER=nobody",
		"HELM_KUBECAFILE=" + unwritable, "HELM_DRIVER=sql", "HELM_PLUGINS=" + unwritable, "HELM_CACHE_HOME=" + unwritable, "HELM_CONFIG_HOME=" + unwritable,
		"HELM_DATA_HOME=" + unwritable, "HELM_REPOSITORY_CONFIG=" + unwritable, "HELM_REGISTRY_CONFIG=" + unwritable,
	}
	for _, proxy := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		hostile = append(hostile, proxy+"=http://"+nowhere, strings.ToLower(proxy)+"=http://"+nowhere)
	}
	hostile = append(hostile, "NO_PROXY=example.com", "no_proxy=example.com")

	chart := t.TempDir()
	for file, content := range map[string]string{
		"Chart.yaml":           "{apiVersion: v2, name: trial, version: 1.0.0}",
		"templates/trial.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: trial}}",
		"templates/NOTES.txt":  "in {{ .Release.Namespace }}",
	} {
		path := filepath.Join(chart, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ command, want string }{
		{"kubectl get nodes --output name", "node/smoke"},
		{"helm upgrade --install trial " + chart + " --wait", "in default"},
		{"helm list --short", "trial"},
		{"kubectl get configmap trial --output name", "configmap/trial"},
		{"helm uninstall trial", "uninstalled"},
	} {
		cmd := exec.Command(program, append([]string{"exec", "--"}, strings.Fields(test.command)...)...)
		cmd.Env, cmd.Dir = hostile, "/"
		output, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(output), test.want) {
			t.Errorf("%s: %v\n%s", test.command, err, output)
		}
	}
	// The same for what the program itself asks kubectl and helm on the host.
	up := exec.Command(program, "up", "--without-envoy-gateway")
	up.Env = hostile
	if output, err := up.CombinedOutput(); err != nil {
		t.Errorf("up: %v\n%s", err, output)
	}
}
