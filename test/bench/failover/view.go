package main

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// view is how things stand by the newest events, without a question to the API server.
type view struct {
	mu sync.Mutex
	// unready and empty are the applications whose pod is not ready, and whose Service has no ready endpoint.
	unready, empty map[string]bool
	service        *v1alpha1.ExposedService
	route          *gwapiv1.GRPCRoute
	// acceptedGeneration is the newest generation of the route that was accepted.
	acceptedGeneration int64
}

func (v *view) setUnready(app string, unready bool) (changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, known := v.unready[app]
	v.unready[app] = unready
	return known && before != unready
}

func (v *view) setEmpty(app string, empty bool) (changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, known := v.empty[app]
	v.empty[app] = empty
	return known && before != empty
}

// setService says whether the decision is a new one.
func (v *view) setService(exs *v1alpha1.ExposedService) (isNew bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.service
	v.service = exs
	if exs.Status.Traffic == nil {
		return false
	}
	return before == nil || before.Status.Traffic == nil || before.Status.Traffic.Revision < exs.Status.Traffic.Revision
}

// setRoute says whether the route has a new generation, who has most of the calls in it, and whether
// it has just been accepted.
func (v *view) setRoute(route *gwapiv1.GRPCRoute) (isNew bool, lead string, isAccepted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	isNew = v.route == nil || v.route.Generation < route.Generation
	v.route = route
	if v.service != nil {
		for name, weight := range gateway.LiveWeights(v.service, nil, route) {
			if weight > gateway.TotalWeight/2 {
				lead = name
			}
		}
	}
	if (gateway.Live{Route: route}).RouteAccepted() && v.acceptedGeneration < route.Generation {
		v.acceptedGeneration = route.Generation
		isAccepted = true
	}
	return isNew, lead, isAccepted
}

var errNotSettled = errors.New("not settled")

// settled says who serves and who stands by, if everything is ready, accepted and at rest.
func (v *view) settled() (serves, standsBy string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, app := range []string{primary, backup} {
		if v.unready[app] || v.empty[app] {
			return "", "", fmt.Errorf("%w: %s is not ready", errNotSettled, app)
		}
	}
	if v.service == nil || v.route == nil || v.service.Status.Traffic == nil || v.service.Status.Failover == nil {
		return "", "", fmt.Errorf("%w: nothing decided or no route", errNotSettled)
	}
	status := v.service.Status
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue {
		return "", "", fmt.Errorf("%w: condition Ready is %v", errNotSettled, ready)
	}
	if status.Failover.State != nil && status.Failover.State.Ramp != nil {
		return "", "", fmt.Errorf("%w: a hand-back is under way", errNotSettled)
	}
	for _, b := range status.Backends {
		if b.Ready == nil || *b.Ready == 0 {
			return "", "", fmt.Errorf("%w: Headgate has not seen the endpoint of %s", errNotSettled, b.Name)
		}
	}
	if have := positive(gateway.LiveWeights(v.service, nil, v.route)); !maps.Equal(have, weightsOf(status.Traffic)) {
		return "", "", fmt.Errorf("%w: the route has weights %v, the decision %v", errNotSettled, have, weightsOf(status.Traffic))
	}
	if v.acceptedGeneration != v.route.Generation {
		return "", "", fmt.Errorf("%w: the route's generation %d is not accepted", errNotSettled, v.route.Generation)
	}
	serves, standsBy = status.Active, other(status.Active)
	if status.Failover.Mode == v1alpha1.FailoverPriorities && status.Failover.Fallback != standsBy {
		return "", "", fmt.Errorf("%w: %s stands by", errNotSettled, status.Failover.Fallback)
	}
	return serves, standsBy, nil
}

func positive(weights map[string]int32) map[string]int32 {
	maps.DeleteFunc(weights, func(_ string, weight int32) bool { return weight == 0 })
	return weights
}

func weightsOf(traffic *v1alpha1.TrafficStatus) map[string]int32 {
	out := map[string]int32{}
	for _, w := range traffic.Weights {
		out[w.Name] = w.Weight
	}
	return positive(out)
}
