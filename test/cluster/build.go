package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
)

func buildCommand() command {
	return command{
		name:    "build",
		summary: "Build everything that a cluster needs, without starting one.",
		help: `
Everything is built from Go modules, Envoy comes from its Python wheel. What is built is kept in the user's cache folder, by a hash of
its sources, so the next build is done at once. Building does not need root. It can be interrupted at any time.`,
		run: func(ctx context.Context, s session, _ []string) error {
			all := append(pieces.ForCluster(), pieces.ForEnvoyGateway()...)
			if _, _, err := ensure(ctx, s, all); err != nil {
				return err
			}
			fmt.Fprintf(s.log, "built: %s\n", pieces.Names(all))
			return nil
		},
	}
}

func assetsCommand() command {
	return command{
		name:    "assets",
		summary: "Print the folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver, kubectl.",
		help: `
With these the envtest package of controller-runtime runs a real API server without a cluster:

  KUBEBUILDER_ASSETS=$(go run ./test/cluster assets) go test ./...

They are built first if needed. No root is needed.`,
		run: func(ctx context.Context, s session, _ []string) error {
			_, folders, err := ensure(ctx, s, []pieces.Piece{pieces.Kubernetes})
			if err != nil {
				return err
			}
			fmt.Fprintln(s.out, folders[pieces.Kubernetes.Name])
			return nil
		},
	}
}

func binCommand() command {
	return command{
		name:    "bin",
		summary: "Print a folder with kubectl, helm and envoy.",
		help:    "They are built first if needed. No root is needed.",
		run: func(ctx context.Context, s session, _ []string) error {
			cache, folders, err := ensure(ctx, s, []pieces.Piece{pieces.Kubernetes, pieces.Helm, pieces.Envoy})
			if err != nil {
				return err
			}
			dir, err := cache.Tools(folders)
			if err != nil {
				return err
			}
			fmt.Fprintln(s.out, dir)
			return nil
		},
	}
}

// ensure builds pieces into the cache of this user, and returns the folder of each.
func ensure(ctx context.Context, s session, all []pieces.Piece) (pieces.Cache, map[string]string, error) {
	root, err := layout.Root()
	if err != nil {
		return pieces.Cache{}, nil, err
	}
	source, err := pieces.SourceFolder()
	if err != nil {
		return pieces.Cache{}, nil, err
	}
	cache := pieces.Cache{Root: filepath.Join(root, "cluster"), Source: source, Progress: s.log}
	folders, err := cache.Ensure(ctx, all...)
	return cache, folders, err
}
