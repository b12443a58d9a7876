package exposure

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// party is one of two that want the same host, as a cluster has it.
type party struct {
	exs   *v1alpha1.ExposedService
	route *gwapiv1.GRPCRoute
	// admitted: the listener takes routes of its namespace. failing: the API server refuses its route. faulty: its spec
	// stands in its own way.
	admitted, failing, faulty bool
	// phase of its run: 0 there is none, 1 the calls were claimed, 2 the route was applied.
	phase int
	// problem is what the claim came to, and generation that of the spec that the run has read.
	problem *gateway.Problem
	spec    *v1alpha1.ExposedService
	// atFault is what its run has found of its spec.
	atFault, failed bool
}

func (p *party) wantsIt() bool { return p.exs.Spec.Hostnames[0] == "a.example.com" }

// hasIt: its route asks for the calls, and is not refused.
func (p *party) hasIt() bool {
	return claimantOf(p.exs, p.route).route != nil && p.route.Spec.Hostnames[0] == "a.example.com"
}

// contest is a cluster with two parties.
type contest struct {
	parties [2]*party
	grants  grants
	routes  int
}

// edit changes the spec.
func (c *contest) edit(p *party, host v1alpha1.Hostname) {
	p.exs = p.exs.DeepCopy()
	p.exs.Spec.Hostnames = []v1alpha1.Hostname{host}
	p.exs.Generation++
}

// step goes on with the run of a party, as Reconcile has it.
func (c *contest) step(p, rival *party) {
	switch p.phase {
	case 0:
		p.spec, p.atFault = p.exs, p.faulty
		own := claimantOf(p.exs, p.route)
		refused := p.route != nil && own.route == nil
		var rivals []claimant
		if other := claimantOf(rival.exs, rival.route); len(own.wants.Contests(other.wants))+len(own.wants.Contests(other.has)) > 0 {
			rivals = append(rivals, other)
		}
		p.problem, _ = c.grants.claim(own, rivals, !p.atFault && !(refused && refs.ClaimsOfRoute(p.route).Cover(own.wants)))
		if p.problem != nil && refused {
			p.route = nil
		}
	case 1:
		blocked := p.problem != nil || p.atFault
		if p.failed = !blocked && p.failing; !blocked && !p.failing {
			c.apply(p)
		}
		if blocked || p.route == nil || !refs.ClaimsOfRoute(p.route).Cover(refs.ClaimsOf(p.spec)) {
			c.grants.release(types.NamespacedName{Namespace: p.spec.Namespace, Name: p.spec.Name})
		}
	case 2:
		c.say(p)
	}
	p.phase = (p.phase + 1) % 3
}

// apply writes the route.
func (c *contest) apply(p *party) {
	wanted := routeOf(p.spec, 0)
	if p.route != nil && refs.ClaimsOfRoute(p.route).Cover(refs.ClaimsOf(p.spec)) {
		return
	}
	c.routes++
	wanted.CreationTimestamp = metav1.NewTime(time.Unix(int64(3_000_000+c.routes), 0))
	if p.route != nil {
		wanted.CreationTimestamp, wanted.Generation, wanted.Status = p.route.CreationTimestamp, p.route.Generation+1, p.route.Status
	}
	p.route = wanted
}

// judge is the Gateway's controller.
func (c *contest) judge(p *party) {
	if p.route == nil {
		return
	}
	status := metav1.ConditionFalse
	if p.admitted {
		status = metav1.ConditionTrue
	}
	p.route = judged(p.route.DeepCopy(), status)
}

// say writes the status.
func (c *contest) say(p *party) {
	exs := p.exs.DeepCopy()
	exs.Status.Conditions = nil
	set := func(conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason) {
		said(p.spec.Generation, conditionType, status, reason)(exs)
	}
	live := gateway.Live{Route: p.route}
	switch {
	case p.problem != nil:
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, p.problem.Reason)
	case p.atFault:
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidOverride)
	default:
		set(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}
	switch {
	case p.failed:
		set(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	case p.route == nil && (p.atFault || p.problem != nil):
		set(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted)
	case p.route != nil && live.RouteRefused():
		set(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteNotAccepted)
	case live.RouteAccepted():
		set(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed)
	default:
		set(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonPending)
	}
	p.exs = exs
}

// serves is the one that gets the calls: the oldest of the routes that ask for them; nil: nobody does.
func (c *contest) serves() *party {
	var out *party
	for _, p := range c.parties {
		if p.hasIt() && (out == nil || refs.ByAge(p.route, out.route) < 0) {
			out = p
		}
	}
	return out
}

func (c *contest) both(are func(*party) bool) bool { return are(c.parties[0]) && are(c.parties[1]) }

// TestOneServesAndKeepsIt: two that want the same calls, in any order of edits, runs that overlap, and words of the
// Gateway's controller. At most one has them; who has them keeps them until it lets go, or is refused; and while one
// wants them that could have them, somebody gets them.
func TestOneServesAndKeepsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &contest{}
		for i, name := range []string{"a", "b"} {
			c.parties[i] = &party{
				exs:      wanting(name, time.Duration(rapid.IntRange(0, 1).Draw(t, "age"))*time.Hour),
				admitted: rapid.IntRange(0, 3).Draw(t, "admitted") > 0, failing: rapid.IntRange(0, 5).Draw(t, "failing") == 0,
			}
			if rapid.Bool().Draw(t, "wants another host") {
				c.parties[i].exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(name + "-only.example.com")}
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			i := rapid.IntRange(0, 1).Draw(t, "which")
			p, rival := c.parties[i], c.parties[1-i]
			before := c.serves()
			switch rapid.SampledFrom([]string{"step", "step", "step", "step", "judge", "judge", "want", "let go", "edit", "fault"}).Draw(t, "event") {
			case "step":
				c.step(p, rival)
			case "judge":
				c.judge(p)
			case "want":
				c.edit(p, "a.example.com")
			case "let go":
				c.edit(p, v1alpha1.Hostname(p.exs.Name+"-only.example.com"))
			case "edit":
				c.edit(p, p.exs.Spec.Hostnames[0])
			case "fault":
				p.faulty = !p.faulty
			}
			if c.both(func(p *party) bool { return p.hasIt() && p.wantsIt() }) {
				t.Fatal("both have a route to the same calls")
			}
			if after := c.serves(); before != nil && after != before && before.hasIt() && before.wantsIt() {
				t.Fatalf("%s lost the calls to %s", before.exs.Name, after.exs.Name)
			}
		}
		// Nothing happens any more, and everybody is looked at until nothing changes: who gives back what it was given wakes
		// the other.
		for i, p := range c.parties {
			for p.phase != 0 {
				c.step(p, c.parties[1-i])
			}
		}
		for range 8 {
			for i, p := range c.parties {
				for range 3 {
					c.step(p, c.parties[1-i])
				}
				c.judge(p)
			}
		}
		if c.both((*party).hasIt) && c.parties[0].problem == nil && c.parties[1].problem == nil {
			t.Fatal("both have a route in the end, and nobody is told")
		}
		able := false
		for _, p := range c.parties {
			able = able || p.wantsIt() && p.admitted && !p.failing && !p.faulty
		}
		if able && c.serves() == nil {
			t.Fatalf("nobody serves: %+v, %+v", c.parties[0].exs.Status.Conditions, c.parties[1].exs.Status.Conditions)
		}
	})
}
