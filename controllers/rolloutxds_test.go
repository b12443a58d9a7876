package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
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

// controlCanary writes what the controllers of Deployments and EndpointSlices would of a canary with one pod.
func (w *world) controlCanary(d *appsv1.Deployment, slice *discoveryv1.EndpointSlice) error {
	if err := w.read(d); err != nil {
		return err
	}
	if w.read(slice) != nil {
		w.create(slice)
	}
	want := *ptr.To(d.Status)
	want.ObservedGeneration = d.Generation
	want.Replicas, want.UpdatedReplicas, want.ReadyReplicas, want.AvailableReplicas = *d.Spec.Replicas, *d.Spec.Replicas, *d.Spec.Replicas, *d.Spec.Replicas
	if d.Status.ObservedGeneration == want.ObservedGeneration && d.Status.ReadyReplicas == want.ReadyReplicas {
		return nil
	}
	d.Status = want
	return w.kube.Status().Update(w.t.Context(), d)
}

// A client that does not take a step's weights keeps the rollout in that step, and the status says so in the client's
// own words.
func TestAnXDSClientThatDoesNotAcknowledgeHoldsTheRollout(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t).withBackends(), newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	d := w.deployment("primary-svc")
	w.create(d)
	exs := w.exposedService("greeter", overXDS(9090), shipping(d.Name))
	exs.Spec.Rollout.Steps = []v1alpha1.RolloutStep{{Weight: intstr.FromInt32(10)}, {Weight: intstr.FromInt32(50)}}
	w.create(exs)
	w.untilHeld(exs, d)
	routes, share := w.namespace+"/9090", mainCluster(w)+"/"+v1alpha1.CanaryName
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

	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "primary-svc-canary", Namespace: w.namespace}}
	endpoints := w.slice("primary-svc-canary", "10.1.2.1")
	control := func() error { return errors.Join(w.controlDeployment(d, "app:1"), w.controlCanary(canary, endpoints)) }
	edit(w, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "app:2" })
	w.eventually("the first step waits for both clients", func() error {
		if err := control(); err != nil {
			return err
		}
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
		if err := errors.Join(control(), w.read(exs)); err != nil {
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
