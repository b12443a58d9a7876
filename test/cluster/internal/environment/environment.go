// Package environment makes the environment of what talks to a cluster: a command of the user's inside its network, kubectl and helm on the host.
package environment

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// ClusterVariable names the cluster that commands of this program mean.
const ClusterVariable = "HEADGATE_CLUSTER"

// others are the variables that lead to another cluster, or past this one.
// A name with a star stands for all that begin so. Proxies are written in both cases, and none is reachable from a cluster's network.
var others = []string{
	// client-go takes a pod's own account where there is no kubeconfig, and its namespace.
	"KUBERNETES_*", "POD_NAMESPACE",
	// What client-go can and cannot do.
	"KUBE_FEATURE_*",
	// kubectl's plugins, preferences and experiments.
	"KUBECTL_*",
	// Namespace, context, user, server and storage of releases, and the folders of plugins and repositories.
	"HELM_*",
	// The xDS server of a gRPC client, which has its own in each call of ours.
	"GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "GRPC_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "grpc_proxy", "no_proxy",
}

// systemPath is the PATH where there is none, as a shell has it.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// For returns the environment outside, changed so that kubectl, helm and other clients find the cluster by a kubeconfig and nothing else. They
// keep their own files in the cluster's folders: HOME stays that of the user, and may be missing or not writable.
func For(cluster layout.Cluster, kubeconfig string, outside []string) []string {
	path := ""
	var kept []string
	own := map[string]string{
		"KUBECONFIG": kubeconfig, "KUBERC": "off", "KUBECACHEDIR": tools(cluster, "kube"),
		"HELM_CACHE_HOME": tools(cluster, "helm", "cache"), "HELM_CONFIG_HOME": tools(cluster, "helm", "config"), "HELM_DATA_HOME": tools(cluster, "helm", "data"),
		ClusterVariable: cluster.Name,
	}
	for _, variable := range outside {
		name, value, _ := strings.Cut(variable, "=")
		_, isOwn := own[name]
		switch {
		case name == "PATH":
			path = value
		case !isOwn && !leadsElsewhere(name):
			kept = append(kept, variable)
		}
	}
	own["PATH"] = SearchPath(cluster, path)
	// Each name once: of two, C takes the first and a shell the last.
	for name, value := range own {
		kept = append(kept, name+"="+value)
	}
	slices.Sort(kept)
	return kept
}

// SearchPath is the PATH outside, with kubectl and helm before everything.
func SearchPath(cluster layout.Cluster, outside string) string {
	return cluster.Tools() + ":" + cmp.Or(outside, systemPath)
}

// tools is a folder for files of kubectl or helm.
func tools(cluster layout.Cluster, parts ...string) string {
	return filepath.Join(append([]string{cluster.Temp(), "tools"}, parts...)...)
}

func leadsElsewhere(name string) bool {
	return slices.ContainsFunc(others, func(pattern string) bool {
		if prefix, open := strings.CutSuffix(pattern, "*"); open {
			return strings.HasPrefix(name, prefix)
		}
		return name == pattern
	})
}
