package gateway

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Where Headgate rolls out a workload, the first backend has two places, called slots, in which the stable version and the
// canary take turns. Each slot is a Service of Headgate's own. Whoever is promoted stays where it is: the roles change places, and no
// endpoint does. To a proxy an endpoint that changes its place is a new one.

// LabelPodTemplateHash is the label by which the pods of each ReplicaSet of a Deployment are told apart.
const LabelPodTemplateHash = "pod-template-hash"

// No pod has this label with this value. It is in the selector of a slot that is to have no endpoints.
const (
	labelSlot = "headgate.dev/slot"
	slotNone  = "none"
)

// PlaceGreen is how the slot Green is called among the weights of a live route. No backend has such a name. Blue is called by the name of
// the first backend, which is in it as long as there is no rollout.
const PlaceGreen = string(v1alpha1.SlotGreen)

// placeBlue is how Blue is called while nobody is in it.
const placeBlue = string(v1alpha1.SlotBlue)

// SlotServiceName is the name of the Service of a slot of the first backend.
func SlotServiceName(exs *v1alpha1.ExposedService, slot v1alpha1.Slot) string {
	first := exs.Spec.Backends[0].Name
	if slot == v1alpha1.SlotGreen {
		return exs.Name + "-" + first + greenSuffix
	}
	return ServiceName(exs, first)
}

// Slotted says whether the first backend has slots, as far as the spec and the status tell: a Deployment is rolled out, or was, and the
// stable version is not where it was before. Only a Service of the same namespace can have them.
func Slotted(exs *v1alpha1.ExposedService) bool {
	if len(exs.Spec.Backends) == 0 || !isOwnService(exs, exs.Spec.Backends[0].Service) {
		return false
	}
	return rollsOutWorkload(exs) || keepsSlots(exs)
}

func isOwnService(exs *v1alpha1.ExposedService, service *v1alpha1.ServiceBackend) bool {
	return service != nil && ptr.Deref(service.Namespace, exs.Namespace) == exs.Namespace
}

// rollsOutWorkload: the rollout is about a Deployment; that of the status until it is given up, then that of the spec.
func rollsOutWorkload(exs *v1alpha1.ExposedService) bool {
	if exs.Status.Rollout != nil {
		return strings.HasPrefix(exs.Status.Rollout.Target, kindDeployment+"/")
	}
	return exs.Spec.Rollout != nil && exs.Spec.Rollout.WorkloadRef != nil
}

// keepsSlots: somebody is in a slot who would lose it.
func keepsSlots(exs *v1alpha1.ExposedService) bool {
	t := exs.Status.Traffic
	return t != nil && (t.Slot == v1alpha1.SlotGreen || t.StableHash != "" || t.CanaryHash != "")
}

// roles say who is in which slot. The zero value: there are no slots.
type roles struct {
	slotted bool
	// stable is the slot of the stable version.
	stable                 v1alpha1.Slot
	stableHash, canaryHash string
	// workload: the other slot is that of the canary.
	workload bool
}

// rolesNow are those of the status as it is now. The pods of a Service without a selector cannot be told apart.
func rolesNow(exs *v1alpha1.ExposedService, facts Facts) roles {
	if !Slotted(exs) {
		return roles{}
	}
	service := facts.Backends[exs.Spec.Backends[0].Name].Service
	if !keepsSlots(exs) && service != nil && len(service.Spec.Selector) == 0 {
		return roles{}
	}
	out := roles{slotted: true, stable: v1alpha1.SlotBlue, workload: rollsOutWorkload(exs)}
	if t := exs.Status.Traffic; t != nil {
		out.stableHash, out.canaryHash = t.StableHash, t.CanaryHash
		if t.Slot == v1alpha1.SlotGreen {
			out.stable = v1alpha1.SlotGreen
		}
	}
	return out
}

// slot is what a backend that has one has beside others.
type slot struct {
	// in is which one it is; empty: none.
	in v1alpha1.Slot
	// hash is the pod-template-hash of its pods; empty: they are not told apart.
	hash string
	// other: it is not that of the stable version.
	other bool
}

// idle: nobody is in it.
func (s slot) idle() bool { return s.other && s.hash == "" }

// takeSlot puts the first backend into the slot of the stable version.
func (r Resolved) takeSlot(b *backend) {
	if !r.roles.slotted {
		return
	}
	b.slot = slot{in: r.roles.stable, hash: r.roles.stableHash}
	b.own, b.label = SlotServiceName(r.exs, r.roles.stable), b.Name
	have := r.facts.ofSlot(r.exs, r.roles.stable)
	b.facts.OwnService, b.facts.OwnServiceIsNew, b.facts.OwnSlices = have.Service, have.IsNew, have.Slices
	if have.Probe.State != ProbeUnknown && b.hash != "" {
		b.facts.Probe = have.Probe
	}
}

// otherSlot is the backend in the other slot, which has the port of the first one; nil: there are no slots.
func (r Resolved) otherSlot() *backend {
	if !r.roles.slotted {
		return nil
	}
	first, in := &r.backends[0], r.roles.stable.Other()
	have := r.facts.ofSlot(r.exs, in)
	out := backend{
		Backend: v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: first.Service},
		own:     SlotServiceName(r.exs, in), label: first.Name, canary: true,
		slot: slot{in: in, hash: r.roles.canaryHash, other: true},
		facts: BackendFacts{
			Service: first.facts.Service, OwnService: have.Service, OwnServiceIsNew: have.IsNew, OwnSlices: have.Slices, Probe: have.Probe,
		},
		found: first.found, port: first.port, ports: first.ports,
	}
	if !r.roles.workload || out.idle() {
		out.Name = placeBlue
		if in == v1alpha1.SlotGreen {
			out.Name = PlaceGreen
		}
	}
	out.look()
	return &out
}

// ofSlot is what is known of the Service of a slot.
func (f Facts) ofSlot(exs *v1alpha1.ExposedService, in v1alpha1.Slot) SlotFacts {
	have, known := f.Slots[in]
	if !known && in == v1alpha1.SlotBlue {
		own := f.Backends[exs.Spec.Backends[0].Name]
		have = SlotFacts{Service: own.OwnService, IsNew: own.OwnServiceIsNew, Slices: own.OwnSlices}
	}
	return have
}

// byRole turns weights by place into weights by role.
func (r Resolved) byRole(places map[string]int32) map[string]int32 {
	if places == nil {
		return nil
	}
	out := make(map[string]int32, len(places))
	for place, weight := range places {
		out[r.roleAt(place)] = weight
	}
	return out
}

// roleAt is the name of the backend at a place of a route. Without slots every backend is at a place of its own.
func (r Resolved) roleAt(place string) string {
	if r.other == nil {
		return place
	}
	first := r.exs.Spec.Backends[0].Name
	switch isGreen := place == PlaceGreen; {
	case !isGreen && place != first:
		return place
	case isGreen == (r.roles.stable == v1alpha1.SlotGreen):
		return first
	}
	return r.other.Name
}

// selector is that of the Service of ours for a backend whose own Service selects pods.
func (b backend) selector() map[string]string {
	base := b.facts.Service.Spec.Selector
	switch {
	case b.slot.in == "":
		return base
	case len(base) == 0:
		return nil
	}
	out := maps.Clone(base)
	// For the time of a rollout the user's own Service may have one.
	delete(out, LabelPodTemplateHash)
	switch {
	case b.hash != "":
		out[LabelPodTemplateHash] = b.hash
	case b.other:
		out[labelSlot] = slotNone
	}
	return out
}

// ownSlicesKnown: the cluster's controller has said which endpoints our own Service has. It makes an EndpointSlice also when
// there are none.
func (b backend) ownSlicesKnown() bool {
	for i := range b.facts.OwnSlices {
		if b.facts.OwnSlices[i].Labels[discoveryv1.LabelManagedBy] != sliceManager {
			return true
		}
	}
	return false
}

// CanarySlot is what is known of the slot of the canary.
type CanarySlot struct {
	// Served: its Service is there and selects the pods of the canary that is decided, so that calls can get to them.
	Served bool
	// Ready is how many of its endpoints are ready, and Endpoints how many it has in any state, with pods that are going away; -1: the
	// cluster has not said yet what is in it.
	Ready, Endpoints int32
	// StableHash is the pod-template-hash by which the Service of the stable version selects; empty: by none, or it is not there.
	StableHash string
}

// CanarySlot looks at the slot of the canary, as the status has it at the moment of the call.
func (r Resolved) CanarySlot() CanarySlot {
	r = r.now()
	if r.other == nil {
		return CanarySlot{}
	}
	out := CanarySlot{Endpoints: -1}
	if r.other.ownSlicesKnown() {
		out.Ready, out.Endpoints = backend{endpoints: endpointsIn(r.other.facts.OwnSlices, portNameGRPC, r.other.families()[0])}.count()
	}
	out.Served = r.roles.canaryHash != "" && selectedHash(r.other.facts.OwnService) == r.roles.canaryHash
	out.StableHash = selectedHash(r.backends[0].facts.OwnService)
	return out
}

func selectedHash(service *corev1.Service) string {
	if service == nil {
		return ""
	}
	return service.Spec.Selector[LabelPodTemplateHash]
}

// Slotted says whether the first backend has slots, as the status has it at the moment of the call.
func (r Resolved) Slotted() bool { return rolesNow(r.exs, r.facts).slotted }

// cannotHaveSlots says what keeps a workload from being rolled out behind the first backend; nil: nothing does.
func (r Resolved) cannotHaveSlots() *Problem {
	if r.exs.Spec.Rollout == nil || r.exs.Spec.Rollout.WorkloadRef == nil {
		return nil
	}
	const field = "spec.rollout.workloadRef: "
	problem := func(words string) *Problem {
		return &Problem{Reason: v1alpha1.ReasonRolloutNotSupported, For: v1alpha1.ConditionProgressing, Message: field + words}
	}
	b := &r.backends[0]
	switch {
	case b.Service == nil:
		return problem("the first backend, " + b.Name + ", has no pods of this cluster: put the Service of the workload first in spec.backends")
	case !isOwnService(r.exs, b.Service):
		return problem("Service " + b.namespace(r.exs) + "/" + b.Service.Name + " of the first backend is in another namespace than the workload: " +
			"put a Service of the workload's namespace first in spec.backends")
	case b.facts.Service != nil && b.found && !b.selects():
		return problem("Service " + r.exs.Namespace + "/" + b.Service.Name + " of the first backend has no selector, " +
			"so that the pods of two versions cannot be told apart: give it the selector of the Deployment, or use spec.rollout.canary")
	}
	return nil
}

// ExpandSlots turns an ExposedService without a Gateway into what its own xDS needs beside it: the Services of the slots, which tell the
// pods of two versions apart. Without slots it is nothing. Everything else that was made for a Gateway is removed.
func (r Resolved) ExpandSlots() Expansion {
	e := r.expansion()
	e.out.Gateway = GatewayRef(e.exs)
	for _, b := range e.backends {
		if b.in != "" {
			e.addOwnService(b)
		}
	}
	e.out.exists = e.existing()
	return e.out
}
