package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// mostTries is how often a stage is played before it is given up.
const mostTries = 3

// undisturbed plays a stage until Envoy Gateway has run through all of it: without it no weight reaches the proxies, and
// nothing that is measured is the tool's doing. It gives its lease up where a busy machine keeps it from being renewed.
func (b *bench) undisturbed(ctx context.Context, c contender, scenarios stage, address string, out *results) error {
	for try := 1; ; try++ {
		before, err := b.restartsOfEnvoyGateway(ctx)
		if err != nil {
			return err
		}
		found := results{Runs: out.Runs}
		failed := b.play(ctx, c, scenarios, address, &found)
		after, err := b.restartsOfEnvoyGateway(ctx)
		if err != nil {
			return err
		}
		if before == after || try == mostTries || ctx.Err() != nil {
			out.Results, out.Idle = append(out.Results, found.Results...), append(out.Idle, found.Idle...)
			return failed
		}
		b.say("%s: Envoy Gateway was restarted in the meantime, as on a machine that is too busy: this is played again", c.title)
	}
}

func (b *bench) restartsOfEnvoyGateway(ctx context.Context) (int32, error) {
	var pods corev1.PodList
	if err := b.List(ctx, &pods, client.InNamespace(scene.EnvoyGatewayNamespace), client.MatchingLabels{"control-plane": scene.EnvoyGatewayDeployment}); err != nil {
		return 0, err
	}
	var out int32
	for i := range pods.Items {
		for _, container := range pods.Items[i].Status.ContainerStatuses {
			out += container.RestartCount
		}
	}
	return out, nil
}
