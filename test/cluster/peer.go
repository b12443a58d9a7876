package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
)

func peerCommand() command {
	return command{
		name:    "peer",
		args:    "NAME",
		summary: "Build a controller that Headgate is compared with, load its image, and print the folder with what installs it.",
		help: `
NAME is flagger, whose chart is printed, or argo-rollouts, whose manifests are; with that one comes a plugin of ours for the Gateway API.
Both are built from their Go modules. The first time this takes minutes; up does not need them and does not build them.`,
		needs: 1,
		run: func(ctx context.Context, s session, args []string) error {
			peer, err := findPeer(args[0])
			if err != nil {
				return exitError{2, err}
			}
			if _, running := s.cluster.InitPID(); !running {
				return notRunning(s.cluster)
			}
			_, folders, err := ensure(ctx, s, peer.Pieces)
			if err != nil {
				return err
			}
			began := time.Now()
			content, err := peer.Image(folders)
			if err != nil {
				return err
			}
			imported, err := addons.LoadImage(ctx, s.cluster, content)
			if err != nil {
				return err
			}
			s.sayLoaded(content.Name, imported, time.Since(began))
			fmt.Fprintln(s.out, filepath.Join(folders[peer.Pieces[0].Name], peer.Manifests))
			return nil
		},
	}
}

func findPeer(name string) (addons.Peer, error) {
	var names []string
	for _, peer := range addons.Peers() {
		if peer.Name == name {
			return peer, nil
		}
		names = append(names, peer.Name)
	}
	return addons.Peer{}, fmt.Errorf("there is no peer %q: give %s", name, strings.Join(names, " or "))
}
