package node

import (
	"fmt"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// component is a program that runs for as long as the cluster does.
type component struct {
	name string // of the program in the cluster's bin folder, and of its log
	args []string
}

// Components are the names of all components.
var Components = []string{"containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"}

func containerd(c layout.Cluster) component {
	return component{"containerd", []string{"--config", c.Config("containerd.toml")}}
}

func etcd(c layout.Cluster) component {
	return component{"etcd", []string{
		"--data-dir=" + c.Data("etcd"),
		"--unsafe-no-fsync", // the data need not survive the machine, and an fsync on a busy disk takes a second
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--log-level=warn",
	}}
}

func apiServer(c layout.Cluster) component {
	return component{"kube-apiserver", []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--advertise-address=" + layout.Node.String(), fmt.Sprintf("--secure-port=%d", layout.APIServerPort),
		"--service-cluster-ip-range=" + layout.Services.String(),
		"--tls-cert-file=" + c.PKI("apiserver.crt"), "--tls-private-key-file=" + c.PKI("apiserver.key"), "--client-ca-file=" + c.PKI("ca.crt"),
		"--cert-dir=" + c.Data("kube-apiserver"),
		"--kubelet-client-certificate=" + c.PKI("apiserver-to-kubelet.crt"), "--kubelet-client-key=" + c.PKI("apiserver-to-kubelet.key"),
		"--kubelet-certificate-authority=" + c.PKI("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.PKI("service-accounts.key"), "--service-account-signing-key-file=" + c.PKI("service-accounts.key"),
		// The aggregation layer: APIs that are served by pods, such as that of metrics-server, hear from it who calls.
		"--requestheader-client-ca-file=" + c.PKI("front-proxy-ca.crt"), "--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.PKI("front-proxy.crt"), "--proxy-client-key-file=" + c.PKI("front-proxy.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false",
	}}
}

func controllerManager(c layout.Cluster) component {
	return component{"kube-controller-manager", []string{
		"--kubeconfig=" + c.Config("kube-controller-manager.kubeconfig"),
		"--leader-elect=false", "--secure-port=0", "--profiling=false",
		// Each controller with its own account has its own share of requests; all with one take 5 s longer to start.
		"--use-service-account-credentials", "--kube-api-qps=300", "--kube-api-burst=600",
		"--service-account-private-key-file=" + c.PKI("service-accounts.key"), "--root-ca-file=" + c.PKI("ca.crt"),
		"--cluster-signing-cert-file=" + c.PKI("ca.crt"), "--cluster-signing-key-file=" + c.PKI("ca.key"),
		"--allocate-node-cidrs=false",
		// By default an autoscaler decides every 15 s, and whoever tests one waits for several decisions.
		"--horizontal-pod-autoscaler-sync-period=5s",
	}}
}

func scheduler(c layout.Cluster) component {
	return component{"kube-scheduler", []string{
		"--kubeconfig=" + c.Config("kube-scheduler.kubeconfig"),
		"--leader-elect=false", "--secure-port=0", "--profiling=false",
		"--kube-api-qps=300", "--kube-api-burst=600",
	}}
}

func kubelet(c layout.Cluster) component {
	return component{"kubelet", []string{
		"--config=" + c.Config("kubelet.yaml"), "--kubeconfig=" + c.Config("kubelet.kubeconfig"),
		"--root-dir=/var/lib/kubelet", "--cert-dir=" + c.PKI(""),
		"--node-ip=" + layout.Node.String(), "--hostname-override=" + c.Name,
	}}
}

func kubeProxy(c layout.Cluster) component {
	return component{"kube-proxy", []string{"--config=" + c.Config("kube-proxy.yaml")}}
}
