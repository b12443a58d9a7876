package node

import (
	"net/netip"
	"os"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pki"
)

// The credentials of a cluster, by file name. Kubernetes gives these user names and groups their rights by itself.
func subjects(cluster layout.Cluster) map[string]pki.Subject {
	return map[string]pki.Subject{
		"apiserver": {
			CommonName: "kube-apiserver",
			DNSNames:   []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
			// 127.0.0.1 is where the host finds it, through the forwarder.
			Addresses: []netip.Addr{layout.KubernetesService, layout.Node, netip.MustParseAddr("127.0.0.1")},
		},
		"apiserver-to-kubelet":    {CommonName: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}},
		"kubelet":                 {CommonName: "system:node:" + cluster.Name, Groups: []string{"system:nodes"}, DNSNames: []string{cluster.Name}, Addresses: []netip.Addr{layout.Node}},
		"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
		"kube-scheduler":          {CommonName: "system:kube-scheduler"},
		"kube-proxy":              {CommonName: "system:kube-proxy"},
		"admin":                   {CommonName: "admin", Groups: []string{"system:masters"}},
	}
}

// frontProxy is the user name of the API server as one that passes requests on in the name of others.
const frontProxy = "front-proxy-client"

// writeCredentials makes all keys and certificates, and the kubeconfigs of those who talk to the API server.
// forwarder is the address on the host that leads to the API server.
func writeCredentials(cluster layout.Cluster, forwarder string) error {
	if err := os.MkdirAll(cluster.PKI(""), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(cluster.Config(""), 0o755); err != nil {
		return err
	}
	authority, err := pki.NewAuthority("headgate-"+cluster.Name, time.Now())
	if err != nil {
		return err
	}
	if err := writePair(cluster, "ca", authority.Pair); err != nil {
		return err
	}
	_, serviceAccountKey, err := pki.NewKey()
	if err != nil {
		return err
	}
	if err := layout.WriteFile(cluster.PKI("service-accounts.key"), serviceAccountKey, 0o600); err != nil {
		return err
	}
	inside := "https://" + layout.APIServer()
	kubeconfigs := map[string]map[string]string{ // by credentials: path and server
		"kubelet":                 {cluster.Config("kubelet.kubeconfig"): inside},
		"kube-controller-manager": {cluster.Config("kube-controller-manager.kubeconfig"): inside},
		"kube-scheduler":          {cluster.Config("kube-scheduler.kubeconfig"): inside},
		"kube-proxy":              {cluster.Config("kube-proxy.kubeconfig"): inside},
		"admin":                   {cluster.KubeconfigInside(): inside, cluster.Kubeconfig(): "https://" + forwarder},
	}
	for file, subject := range subjects(cluster) {
		pair, err := authority.Issue(subject)
		if err != nil {
			return err
		}
		if err := writePair(cluster, file, pair); err != nil {
			return err
		}
		for path, server := range kubeconfigs[file] {
			content := pki.Kubeconfig("headgate-"+cluster.Name, server, authority.Certificate, pair)
			if err := layout.WriteFile(path, content, 0o600); err != nil {
				return err
			}
		}
	}
	if err := writeFrontProxy(cluster); err != nil {
		return err
	}
	return cluster.WriteForwarder(forwarder) // last: who reads it finds the rest
}

// writeFrontProxy makes the credentials of the aggregation layer. They are of an authority of their own: whoever has a certificate of it
// may say that a request is anybody's.
func writeFrontProxy(cluster layout.Cluster) error {
	authority, err := pki.NewAuthority("headgate-"+cluster.Name+"-front-proxy", time.Now())
	if err != nil {
		return err
	}
	if err := layout.WriteFile(cluster.PKI("front-proxy-ca.crt"), authority.Certificate, 0o644); err != nil {
		return err
	}
	pair, err := authority.Issue(pki.Subject{CommonName: frontProxy})
	if err != nil {
		return err
	}
	return writePair(cluster, "front-proxy", pair)
}

func writePair(cluster layout.Cluster, name string, pair pki.Pair) error {
	if err := layout.WriteFile(cluster.PKI(name+".crt"), pair.Certificate, 0o644); err != nil {
		return err
	}
	return layout.WriteFile(cluster.PKI(name+".key"), pair.Key, 0o600)
}
