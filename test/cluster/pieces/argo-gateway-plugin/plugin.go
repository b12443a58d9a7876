package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

var grpcRoutes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "grpcroutes"}

// timeout bounds the requests for one weight.
const timeout = 10 * time.Second

// plugin is the traffic router.
type plugin struct {
	routes dynamic.NamespaceableResourceInterface
}

// config is what a Rollout says in spec.strategy.canary.trafficRouting.plugins.
type config struct {
	GRPCRoute string `json:"grpcRoute"`
	Namespace string `json:"namespace"`
}

// InitPlugin connects to the cluster that the plugin runs in.
func (p *plugin) InitPlugin() types.RpcError {
	connection, err := rest.InClusterConfig()
	if err != nil {
		return failed(err)
	}
	client, err := dynamic.NewForConfig(connection)
	if err != nil {
		return failed(err)
	}
	p.routes = client.Resource(grpcRoutes)
	return types.RpcError{}
}

// SetWeight gives the canary so many percent of the calls. A route that has these weights is not written.
func (p *plugin) SetWeight(rollout *v1alpha1.Rollout, percent int32, _ []v1alpha1.WeightDestination) types.RpcError {
	canary := rollout.Spec.Strategy.Canary
	var c config
	if err := json.Unmarshal(canary.TrafficRouting.Plugins[name], &c); err != nil {
		return failed(fmt.Errorf("configuration of plugin %s: %w", name, err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		route, err := p.routes.Namespace(c.Namespace).Get(ctx, c.GRPCRoute, metav1.GetOptions{})
		if err != nil {
			return err
		}
		changed, err := weigh(route.Object, map[string]int64{canary.CanaryService: int64(percent), canary.StableService: 100 - int64(percent)})
		if err != nil || !changed {
			return err
		}
		_, err = p.routes.Namespace(c.Namespace).Update(ctx, route, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return failed(fmt.Errorf("set the weights of GRPCRoute %s/%s: %w", c.Namespace, c.GRPCRoute, err))
	}
	return types.RpcError{}
}

// VerifyWeight says that the weight is in force, as Argo's own plugin does without a look.
func (*plugin) VerifyWeight(*v1alpha1.Rollout, int32, []v1alpha1.WeightDestination) (types.RpcVerified, types.RpcError) {
	return types.Verified, types.RpcError{}
}

// UpdateHash has nothing to do: the Services select the pods.
func (*plugin) UpdateHash(*v1alpha1.Rollout, string, string, []v1alpha1.WeightDestination) types.RpcError {
	return types.RpcError{}
}

// RemoveManagedRoutes has nothing to do: there are none.
func (*plugin) RemoveManagedRoutes(*v1alpha1.Rollout) types.RpcError { return types.RpcError{} }

// SetHeaderRoute is refused.
func (*plugin) SetHeaderRoute(*v1alpha1.Rollout, *v1alpha1.SetHeaderRoute) types.RpcError {
	return types.RpcError{ErrorString: name + " of Headgate's benchmark has no header routes"}
}

// SetMirrorRoute is refused.
func (*plugin) SetMirrorRoute(*v1alpha1.Rollout, *v1alpha1.SetMirrorRoute) types.RpcError {
	return types.RpcError{ErrorString: name + " of Headgate's benchmark has no mirror routes"}
}

// Type is the plugin's name.
func (*plugin) Type() string { return name }

func failed(err error) types.RpcError { return types.RpcError{ErrorString: err.Error()} }
