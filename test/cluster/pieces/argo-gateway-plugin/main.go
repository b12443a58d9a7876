// Package main is a traffic router plugin of Argo Rollouts that sets the weights of a GRPCRoute. It stands in for
// Argo's own plugin for the Gateway API, whose Go module cannot be had, and does what that one does for setWeight:
// in each rule with both Services the canary gets the weight, and stable the rest. It knows nothing else.
package main

import (
	"github.com/argoproj/argo-rollouts/rollout/trafficrouting/plugin/rpc"
	goplugin "github.com/hashicorp/go-plugin"
)

// name is what Rollouts ask for the plugin by, the same as Argo's own.
const name = "argoproj-labs/gatewayAPI"

func main() {
	// The handshake and the plugin's name are those of Argo's test/cmd/trafficrouter-plugin-sample.
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ARGO_ROLLOUTS_RPC_PLUGIN", MagicCookieValue: "trafficrouter"},
		Plugins:         map[string]goplugin.Plugin{"RpcTrafficRouterPlugin": &rpc.RpcTrafficRouterPlugin{Impl: &plugin{}}},
	})
}
