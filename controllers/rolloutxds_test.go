package controllers

import (
	"fmt"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
	"github.com/headgate/headgate/xds/cache"
)

// shares are the weights of the clusters in the routes that a client has, by the names of the clusters.
func (c *xdsClient) shares(routes string) map[string]uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	config, _ := c.have[cache.Routes][routes].(*routev3.RouteConfiguration)
	return sharesOf(config)
}

func sharesOf(config *routev3.RouteConfiguration) map[string]uint32 {
	out := map[string]uint32{}
	for _, host := range config.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			for _, share := range route.GetRoute().GetWeightedClusters().GetClusters() {
				out[share.GetName()] = share.GetWeight().GetValue()
			}
			if all := route.GetRoute().GetCluster(); all != "" {
				out[all] = 1_000_000
			}
		}
	}
	return out
}

// A client that does not take a step's weights keeps the rollout in that step, and the status says so in the client's
// own words.
func TestAnXDSClientThatDoesNotAcknowledgeHoldsTheRollout(t *testing.T) {
	s, p := newShipper(t, overXDS(9090)), newXDSPKI(t)
	w, exs := s.world, s.exs
	exs.Spec.Rollout = &v1alpha1.Rollout{
		WorkloadRef: &v1alpha1.WorkloadReference{Name: shop.Primary},
		Steps:       []v1alpha1.RolloutStep{{Weight: intstr.FromInt32(10)}, {Weight: intstr.FromInt32(50)}},
	}
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	s.expose()
	routes, share := w.namespace+"/9090", mainCluster(w)+"/"+string(v1alpha1.SlotGreen)
	const words = "I do not split calls"
	refuse := func(typ cache.Type, got map[string]proto.Message) string {
		if typ != cache.Routes {
			return ""
		}
		if config, ok := got[routes].(*routev3.RouteConfiguration); ok && sharesOf(config)[share] > 0 {
			return words
		}
		return ""
	}
	p.connect(w, address, "willing", nil)
	unwilling := p.connect(w, address, "unwilling", refuse)
	w.eventually("both clients are counted", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionTrue, v1alpha1.ReasonAcknowledged, "all 2 connected")
	})

	s.ship("app:2")
	w.eventually("the first step waits for both clients", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionXDSAccepted, metav1.ConditionFalse, v1alpha1.ReasonRefusedByClient, "unwilling", words); err != nil {
			return err
		}
		rollout := exs.Status.Rollout
		if rollout.Phase != v1alpha1.RolloutStepping || rollout.Weight != 100_000 || rollout.LiveSince != nil ||
			!strings.Contains(rollout.Message, "1 of 2 xDS clients refuse it") {
			return fmt.Errorf("%s with weight %d, live since %v: %s", rollout.Phase, rollout.Weight, rollout.LiveSince, rollout.Message)
		}
		return nil
	})
	if got := unwilling.shares(routes); got[share] != 0 {
		t.Errorf("who refuses has shares %v", got)
	}

	// It takes what comes next.
	unwilling.refuseFrom(nil)
	edit(w, exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Steps[0].Weight = intstr.FromInt32(5) })
	w.eventually("the step is served", func() error {
		if err := w.read(exs); err != nil {
			return err
		}
		if rollout := exs.Status.Rollout; rollout.Weight != 50_000 || rollout.LiveSince == nil {
			return fmt.Errorf("weight %d, live since %v: %s", rollout.Weight, rollout.LiveSince, rollout.Message)
		}
		return nil
	})
	if got := unwilling.shares(routes); got[share] != 50_000 {
		t.Errorf("the client has shares %v", got)
	}
}
